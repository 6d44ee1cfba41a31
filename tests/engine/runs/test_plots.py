"""What can be drawn of two runs: the numbers of both, in series, lists and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_repro.core.compare.plot_data import PlotData
from pytest_repro.core.plan.plan import REPEAT, Cell, Plan, Tolerance
from pytest_repro.engine.runs.plots import MAX_PLOTS
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial


def pictures(*runs: list[tuple[str, Any]], plan: Plan | None = None, pictured: bool = True) -> list[PlotData]:
    trial = Trial(plan or Plan(), 512, pictured)
    for number, values in enumerate(runs):
        cell = Cell(REPEAT, number)
        recording = trial.new_recording(cell)
        for name, value in values:
            recording.record(name, value)
        trial.add(make_run(cell, "passed", 0.0, recording, None), recording)
    found = trial.compute_verdict().plots
    trial.close()
    return list(found)


def test_a_series_of_numbers_is_drawn_against_step() -> None:
    first = [("loss", value) for value in (4.0, 2.0, 1.0)]
    (found,) = pictures(first, [*first[:2], ("loss", 1.5)])
    assert (found.name, found.axis, found.value, found.kind) == ("loss", "repeat", 1, "float")
    assert found.series is not None
    assert (found.series.unit, found.series.first_differing, found.series.total) == ("step", 2, 3)
    assert (found.series.reference, found.series.other) == ((4.0, 2.0, 1.0), (4.0, 2.0, 1.5))
    assert found.series.distance == (0.0, 0.0, 0.5)
    assert found.histogram is not None
    assert (found.histogram.edges, found.histogram.total) == ((2**51, 2**52), 3)


def test_of_a_series_of_arrays_the_distance_is_drawn() -> None:
    big = np.zeros(1000)
    (found,) = pictures([("w", big), ("w", big)], [("w", big), ("w", big + 0.25)])
    assert found.series is not None
    assert (found.series.reference, found.series.distance, found.series.first_differing) == (
        (),
        (0.0, 0.25),
        1,
    )
    assert found.histogram is not None
    assert (sum(found.histogram.counts), found.histogram.total) == (1000, 2000)


def test_a_list_and_a_vector_are_drawn_against_element() -> None:
    one, two = [1.0, 2.0, 3.0], [1.0, 2.5, 3.0]
    found = pictures([("l", {"a": one}), ("v", np.array(one))], [("l", {"a": two}), ("v", np.array(two))])
    assert [each.name for each in found] == ["l['a']", "v"]
    for each in found:
        assert each.series is not None
        assert (each.series.unit, each.series.first_differing) == ("element", 1)
        assert (each.series.other, each.series.distance) == (tuple(two), (0.0, 0.5, 0.0))


def test_within_the_tolerance_a_distance_is_shown_and_not_counted_as_differing() -> None:
    plan = Plan(tolerance=Tolerance(0.0, 0.1))
    (found,) = pictures([("x", 1.0), ("x", 1.0)], [("x", 1.05), ("x", 1.5)], plan=plan)
    assert found.series is not None
    assert (found.series.differing, found.series.first_differing) == ((False, True), 1)
    near, far = found.series.distance
    assert near is not None
    assert (round(near, 9), far) == (0.05, 0.5)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ([("x", 1.0), ("x", 2.0)], [("x", 1.0)]),
        ([("x", 1.0)], [("x", "text")]),
        ([("x", "one")], [("x", "two")]),
        ([("x", np.ones(3))], [("x", np.ones(4))]),
        ([("x", float("nan"))], [("x", 1.0)]),
        ([("x", np.zeros(0, "f4"))], [("x", np.zeros(0, "f8"))]),
        ([("x", 1j), ("x", 2j)], [("x", 1j), ("x", 3j)]),
        ([("x", 2**70), ("x", True)], [("x", 1), ("x", False)]),
    ],
)
def test_whatever_differs_has_a_picture_with_what_is_known(
    first: list[tuple[str, Any]], other: list[tuple[str, Any]]
) -> None:
    found = pictures(first, other)
    assert [each.name for each in found] == ["x"]
    for series in (each.series for each in found if each.series is not None):
        assert series.first_differing in series.steps
        assert len(series.steps) == len(series.distance) == len(series.differing)


def test_there_are_not_too_many_and_only_where_asked() -> None:
    first = [(f"x{n}", 1.0) for n in range(3 * MAX_PLOTS)]
    other = [(name, 2.0) for name, _ in first]
    assert len(pictures(first, other)) == MAX_PLOTS
    assert pictures(first, other, pictured=False) == []
    assert pictures(first, first) == []
