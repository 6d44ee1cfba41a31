"""How a test fails that is not reproducible: by its text alone."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pytest_repro.core.verdict import NotReproducible, Verdict
from pytest_repro.reports.text import failure

_Failed: Any = pytest.fail.Exception


class Diverged(NotReproducible, _Failed):  # type: ignore[misc]
    """Fails the test by its text alone: none of the plugin's frames, nor of the test's."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        NotReproducible.__init__(self, message, verdict)
        self.msg, self.pytrace = message, False

    def __str__(self) -> str:
        return str(self.msg)


# pytest's own outcomes drop their module likewise: "FAILED test_a.py::test_b - NotReproducible: …"
Diverged.__name__ = Diverged.__qualname__ = "NotReproducible"
Diverged.__module__ = "builtins"


def diverged(item: pytest.Item, verdict: Verdict) -> Diverged:
    """The failure of *item*, named as it is called from where pytest was started."""
    file, *inside = item.nodeid.split("::")
    started = item.config.invocation_params.dir
    if item.config.rootpath != started:
        file = os.path.relpath(item.config.rootpath / file, started)
    return Diverged(failure("::".join([file, *inside]), verdict), verdict)
