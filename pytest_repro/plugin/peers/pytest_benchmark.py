"""pytest-benchmark: rehearsals run the function once and keep no statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_repro.plugin.peers import Peer


class Benchmark(Peer):
    """Disables the fixture's session, which collects every run: the fixture then calls and returns."""

    module = "pytest_benchmark.fixture"

    @contextmanager
    def wrap_rehearsals(self, item: pytest.Item) -> Iterator[None]:
        session = getattr(item.config, "_benchmarksession", None)
        with pytest.MonkeyPatch.context() as patch:
            if hasattr(session, "disabled"):
                patch.setattr(session, "disabled", True)
            yield


peer = Benchmark()
