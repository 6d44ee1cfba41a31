"""The cores that this process may use."""

from __future__ import annotations

import os

import pytest

from pytest_repro.core.machine import count_cores


@pytest.mark.parametrize(("affinity", "total", "found"), [({2, 5}, 8, 2), (None, 8, 8), (None, None, 1)])
def test_cores_are_those_of_the_process(
    monkeypatch: pytest.MonkeyPatch, affinity: set[int] | None, total: int | None, found: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: total)
    if affinity is None:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: affinity, raising=False)
    assert count_cores() == found
