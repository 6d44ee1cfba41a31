"""Says at the end what each example has shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """Prints the first sentence of each example's docstring, after all other sections."""
    yield
    names = dict.fromkeys(
        report.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py")
        for outcome in ("passed", "failed", "xfailed", "skipped")
        for report in terminalreporter.stats.get(outcome, ())
    )
    terminalreporter.section("what the examples show")
    for name in sorted(names):
        sentence = (getattr(sys.modules.get(name), "__doc__", "") or "").partition("\n")[0]
        if sentence:
            terminalreporter.line(f"{name}: {sentence}")
