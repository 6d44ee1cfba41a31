"""pytest-benchmark: rehearsals run the function once and keep no statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_repro.plugin.peers import Peer


class Benchmark(Peer):
    """Disables the fixture's session, which collects every run: the fixture then calls and returns."""

    module = "pytest_benchmark.fixture"

    @contextmanager
    def wrap_rehearsals(self, item: pytest.Item) -> Iterator[None]:
        session: Any = getattr(item.config, "_benchmarksession", None)
        if session is None or not hasattr(session, "disabled"):
            yield
            return
        before = session.disabled
        session.disabled = True
        try:
            yield
        finally:
            session.disabled = before


peer = Benchmark()
