"""Reducing suspects, lines and changes to those that make the difference."""

from __future__ import annotations

from collections.abc import Callable

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
    minimized = minimize_changes(Evidence(changes=changed), EXPERIMENT, run)
    assert minimized is not None
    assert {change.name for change in minimized.changes} == needed


def test_restoring_all_changes_without_effect() -> None:
    evidence = Evidence(changes=(Change("a.X", "grew"),))
    assert minimize_changes(evidence, EXPERIMENT, make_runner(lambda experiment: True)) is None


def test_out_of_time_keeps_everything() -> None:
    def run(experiment: Experiment, purpose: str) -> ExperimentResult:
        raise OutOfTime("no time")

    evidence = Evidence(
        tuple(ExternalCall("os.urandom()", "os-entropy", f"/a.py:{n}") for n in range(2)),
        changes=(Change("a.X", "grew"), Change("a.Y", "grew")),
    )
    assert minimize_calls(evidence, ["os-entropy"], EXPERIMENT, run) == evidence
    assert minimize_changes(evidence, EXPERIMENT, run) == evidence


def test_minimize_suspects() -> None:
    assert minimize(["a", "b", "c", "d"], lambda suspects: {"b", "d"} <= set(suspects)) == ["b", "d"]
