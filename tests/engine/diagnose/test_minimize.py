"""Of several lines and changes, those that make the difference."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.engine.diagnose.budgeted_experiments import OutOfTime
from pytest_repro.engine.diagnose.minimize import MAX_SINGLE_TRIES, minimize, minimize_calls, minimize_changes

ASKED = Experiment((Cell(REPEAT, 0, {}), Cell(REPEAT, 1, {})), ("os-entropy",))
SIZE = MAX_SINGLE_TRIES


def trying(differs: Callable[[Experiment], bool]) -> Callable[[Experiment, str], ExperimentResult]:
    def try_(asked: Experiment, doing: str) -> ExperimentResult:
        return ExperimentResult(2, (1,) if differs(asked) else (), "", restored_names=asked.restored_names)

    return try_


@given(st.integers(2, 40), st.data())
def test_the_line_that_matters_is_found_among_many(size: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(0, size - 1))
    lines = [f"/a.py:{number}" for number in range(size)]
    evidence = Evidence(tuple(ExternalCall("os.urandom()", "os-entropy", line) for line in lines))
    try_ = trying(lambda asked: lines[culprit] in asked.passthrough_lines)
    found = minimize_calls(evidence, ["os-entropy"], ASKED, try_)
    assert [call.location for call in found.calls] == [lines[culprit]]


@given(st.sets(st.integers(0, SIZE - 1), min_size=1))
def test_only_changes_that_matter_are_left(matter: set[int]) -> None:
    changed = tuple(Change(f"a.X{number}", "grew") for number in range(SIZE))
    needed = {changed[number].name for number in matter}
    try_ = trying(lambda asked: not needed <= set(asked.restored_names))
    found = minimize_changes(Evidence(changes=changed), ASKED, try_)
    assert found is not None
    assert {each.name for each in found.changes} == needed


def test_what_was_put_back_in_vain_is_no_evidence() -> None:
    evidence = Evidence(changes=(Change("a.X", "grew"),))
    assert minimize_changes(evidence, ASKED, trying(lambda asked: True)) is None


def test_without_time_all_stay() -> None:
    def try_(asked: Experiment, doing: str) -> ExperimentResult:
        raise OutOfTime("no time")

    evidence = Evidence(
        tuple(ExternalCall("os.urandom()", "os-entropy", f"/a.py:{n}") for n in range(2)),
        changes=(Change("a.X", "grew"), Change("a.Y", "grew")),
    )
    assert minimize_calls(evidence, ["os-entropy"], ASKED, try_) == evidence
    assert minimize_changes(evidence, ASKED, try_) == evidence


def test_as_few_as_suffice() -> None:
    assert minimize(["a", "b", "c", "d"], lambda ways: {"b", "d"} <= set(ways)) == ["b", "d"]
