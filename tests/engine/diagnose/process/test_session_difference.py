"""Diagnoses of state that earlier tests left in this process, with simulated fresh processes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Change, Experiment, ExperimentResult
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.process.session_difference import SessionDiagnosis

CHANGES = tuple(
    Change(f"lib.X{n}", f"is {n} here and 0 in a fresh process", f"/lib.py:{n}") for n in range(20)
)


class FreshProcess:
    """A program whose result depends on some of the state in *needed* and *also*."""

    fresh_processes = True
    this_process = None

    def __init__(self, *needed: str, settable: bool = True) -> None:
        self._needed, self._settable = set(needed), settable

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        raise AssertionError("no other interpreter is needed")

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        names = experiment.session_names if self._settable else ()
        result = str(self._needed.issubset(names) and bool(self._needed))
        changes = CHANGES if experiment.compare_session else ()
        return ExperimentResult(1, (), result, changes=changes, outcomes=("passed",), restored_names=names)


def make_diagnosis(target: FreshProcess) -> SessionDiagnosis:
    budget = ExperimentBudget(target, 60.0, 0.001, lambda purpose: None)
    first = ExperimentResult(1, (), "False", outcomes=("passed",))
    return SessionDiagnosis(budget, Cell(), Interpreter(), first, "passed")


def test_state_that_makes_the_difference() -> None:
    finding = make_diagnosis(FreshProcess("lib.X7")).find_cause()
    assert finding is not None
    assert (finding.name, finding.location) == ("shared-state", "/lib.py:7")
    assert finding.explanation == (
        "earlier tests left state that a fresh process lacks: lib.X7 is 7 here and 0 in a fresh process; "
        "with it, a fresh process computes something else too"
    )
    assert finding.fix == "let the test that changes lib.X7 put it back, in a fixture or with monkeypatch"


def test_two_parts_of_the_state_that_act_together() -> None:
    finding = make_diagnosis(FreshProcess("lib.X1", "lib.X3")).find_cause()
    assert finding is not None
    assert "lib.X1 is 1 here and 0 in a fresh process; lib.X3 is 3 here" in finding.explanation


@pytest.mark.parametrize(("settable", "note"), [(True, ""), (False, "; seen, but could not be set")])
def test_state_that_makes_no_difference(settable: bool, note: str) -> None:
    diagnosis = make_diagnosis(FreshProcess(settable=settable))
    assert diagnosis.find_cause() is None
    assert f"what they left behind was not found{note}" in diagnosis.conclude_unknown().explanation
    assert ("lib.X0 is 0 here" in diagnosis.conclude_unknown().explanation) is not settable
