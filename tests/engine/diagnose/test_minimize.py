"""Reducing suspects, lines and changes to those that make the difference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.diagnose import Change, Evidence, Experiment, ExperimentResult, ExternalCall
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.engine.diagnose import OutOfTime
from pytest_repro.engine.diagnose.minimize import MAX_SINGLE_TRIES, minimize, minimize_calls, minimize_changes

EXPERIMENT = Experiment((Cell(REPEAT, 0, {}), Cell(REPEAT, 1, {})), ("os-entropy",))
SIZE = MAX_SINGLE_TRIES


def make_runner(differs: Callable[[Experiment], bool]) -> Callable[[Experiment, str], ExperimentResult]:
    def run(experiment: Experiment, purpose: str) -> ExperimentResult:
        restored = experiment.restored_names
        return ExperimentResult(2, (1,) if differs(experiment) else (), "", restored_names=restored)

    return run


def is_equal(result: ExperimentResult) -> bool:
    return result.equal


@given(st.integers(2, 40), st.data())
def test_one_line_of_many(size: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(0, size - 1))
    lines = [f"/a.py:{number}" for number in range(size)]
    evidence = Evidence(tuple(ExternalCall("os.urandom()", "os-entropy", line) for line in lines))
    run = make_runner(lambda experiment: lines[culprit] in experiment.passthrough_sites)
    minimized = minimize_calls(evidence, ["os-entropy"], EXPERIMENT, run)
    assert [call.location for call in minimized.calls] == [lines[culprit]]


def test_one_of_the_library_functions_that_a_line_calls() -> None:
    calls = [ExternalCall("os.urandom()", "os-entropy", "/a.py:1", via) for via in ("", "lib.one", "lib.two")]
    run = make_runner(lambda experiment: "/a.py:1 lib.two" in experiment.passthrough_sites)
    minimized = minimize_calls(Evidence(tuple(calls)), ["os-entropy"], EXPERIMENT, run)
    assert minimized.calls == (calls[2],)


@given(st.sets(st.integers(0, SIZE - 1), min_size=1))
def test_some_of_several_changes(matter: set[int]) -> None:
    changed = tuple(Change(f"a.X{number}", "grew") for number in range(SIZE))
    needed = {changed[number].name for number in matter}
    run = make_runner(lambda experiment: not needed <= set(experiment.restored_names))
    minimized = minimize_changes(Evidence(changes=changed), EXPERIMENT, run, is_equal)
    assert isinstance(minimized, Evidence)
    assert {change.name for change in minimized.changes} == needed


def test_restoring_all_changes_without_effect() -> None:
    evidence = Evidence(changes=(Change("a.X", "grew"),))
    reason = minimize_changes(evidence, EXPERIMENT, make_runner(lambda experiment: True), is_equal)
    assert isinstance(reason, str)
    assert "; runs still differed without a.X (" in reason


@given(st.integers(1, 40), st.data())
def test_guilty_change_or_call_among_innocent_ones(size: int, data: st.DataObject) -> None:
    changes = tuple(Change(f"a.X{number}", "is new", "/a.py:1") for number in range(size))
    calls = tuple(ExternalCall("random.seed()", "shared-state", f"/a.py:{number}") for number in range(size))
    guilty = data.draw(
        st.sampled_from([*(each.name for each in changes), *(each.location for each in calls)])
    )
    run = make_runner(
        lambda experiment: guilty not in (*experiment.restored_names, *experiment.omitted_lines)
    )
    minimized = minimize_changes(Evidence(calls, changes=changes), EXPERIMENT, run, is_equal)
    assert isinstance(minimized, Evidence)
    found = [*(each.name for each in minimized.changes), *(each.location for each in minimized.calls)]
    assert found == [guilty]


def test_parts_of_a_module_are_one_change_if_they_act_together() -> None:
    parts = [Change(f"a.NET.{name}", "has different values", "/a.py:1", "module", "a.NET") for name in "abc"]
    needed = {"a.NET.a", "a.NET.b"}
    run = make_runner(lambda e: not ("a.NET" in e.restored_names or needed <= {*e.restored_names}))
    minimized = minimize_changes(Evidence(changes=tuple(parts)), EXPERIMENT, run, is_equal)
    joined = Change("a.NET", "has different values in a, b", "/a.py:1", "module", "a.NET")
    assert minimized == Evidence(changes=(joined,))


def test_out_of_time_keeps_everything() -> None:
    def run(experiment: Experiment, purpose: str) -> ExperimentResult:
        raise OutOfTime("no time")

    evidence = Evidence(
        tuple(ExternalCall("os.urandom()", "os-entropy", f"/a.py:{n}") for n in range(2)),
        changes=(Change("a.X", "grew"), Change("a.Y", "grew")),
    )
    assert minimize_calls(evidence, ["os-entropy"], EXPERIMENT, run) == evidence
    with pytest.raises(OutOfTime):  # nothing is known about the changes
        minimize_changes(evidence, EXPERIMENT, run, is_equal)


def test_minimize_suspects() -> None:
    assert minimize(["a", "b", "c", "d"], lambda suspects: {"b", "d"} <= set(suspects)) == ["b", "d"]
