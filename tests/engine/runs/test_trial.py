"""The values of the reference run are kept under a budget; the verdict does not depend on it."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.plan.plan import REPEAT, Cell, Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial


def trial_of(keep_mb: int, *runs: list[np.ndarray[Any, Any]]) -> Trial:
    trial = Trial(Plan(), keep_mb)
    for number, arrays in enumerate(runs):
        recording = trial.new_recording(Cell())
        for array in arrays:
            recording.record("x", array)
        trial.add(make_run(Cell(REPEAT, number), "passed", 0.0, recording, None), recording)
    return trial


@pytest.mark.parametrize("keep_mb", [0, 1, 512])
def test_the_distance_is_known_whatever_the_budget(keep_mb: int) -> None:
    first = [np.arange(200_000, dtype="f8") + i for i in range(3)]
    other = [array.copy() for array in first]
    other[1][123_456] += 0.5
    trial = trial_of(keep_mb, first, other)
    (found,) = trial.compute_verdict().mismatches
    trial.close()
    assert (found.name, found.difference and found.difference.first_index) == ("x[1]", (123_456,))
    assert found.difference is not None
    assert (found.difference.differing, found.difference.total, found.difference.max_abs) == (1, 200_000, 0.5)


def test_moments_are_shown_as_such() -> None:
    trial = trial_of(1, *([np.array([f"2024-01-0{day}", "NaT"], "M8[D]")] for day in (1, 2)))
    (found,) = trial.compute_verdict().mismatches
    trial.close()
    assert found.difference is not None
    assert found.difference.first_values == ("2024-01-01", "2024-01-02")


def test_beyond_the_budget_memory_does_not_grow() -> None:
    array = np.zeros(2**20, dtype="f8")
    tracemalloc.start()
    trial = Trial(Plan(), keep_mb=1)
    recording = trial.new_recording(Cell())
    for _ in itertools.repeat(None, 8):
        recording.record("x", array)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    trial.add(Run("repeat", 0, "passed"), recording)
    trial.close()
    assert peak < 2 * 2**20
