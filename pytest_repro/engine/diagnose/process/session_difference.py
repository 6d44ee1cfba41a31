"""Whether this process differs from fresh ones because of state that earlier tests left in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Change, Evidence, Experiment, ExperimentResult, Finding
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.findings import build_finding, build_unknown_finding
from pytest_repro.engine.diagnose.minimize import MAX_SINGLE_TRIES, SHARED_STATE, minimize

_MAX_LISTED = 3
_UNKNOWN = (
    "fresh interpreters agree, whatever their hash seed and memory layout; only the interpreter of the "
    "session, which had run other tests before, differs: what they left behind was not found"
)


class SessionDiagnosis:
    """Gives a fresh process, in which *first* ran, the state of this one.

    Args:
        cell: Of each run.
        interpreter: The fresh process.
        outcome: That of the run in this process.
    """

    def __init__(
        self,
        budget: ExperimentBudget,
        cell: Cell,
        interpreter: Interpreter,
        first: ExperimentResult,
        outcome: str,
    ) -> None:
        self._budget, self._cell, self._interpreter = budget, cell, interpreter
        self._digest, self._outcomes = first.reference_digest, {*first.outcomes, outcome}
        self._changes: tuple[Change, ...] = ()
        self._set_names: tuple[str, ...] = ()

    def find_cause(self) -> Finding | None:
        """The finding that earlier tests left state that makes the difference."""
        experiment = Experiment((self._cell,), compare_session=True)
        self._changes = self._run(experiment, "compare the state of this process").changes
        changes = list(self._changes)
        if not changes or not self._makes_difference(changes):
            return None
        while len(changes) > MAX_SINGLE_TRIES:
            half, rest = changes[: len(changes) // 2], changes[len(changes) // 2 :]
            if not (smaller := next(filter(self._makes_difference, (half, rest)), None)):
                break
            changes = smaller
        if len(changes) <= MAX_SINGLE_TRIES:
            changes = minimize(changes, self._makes_difference)
        return _explain(changes)

    def conclude_unknown(self) -> Finding:
        """That no such state was found, with what was seen."""
        unset = [change for change in self._changes if change.name not in self._set_names]
        note = f"; seen, but could not be set in a fresh process: {_list_changes(unset)}" if unset else ""
        return build_unknown_finding(_UNKNOWN + note)

    def _makes_difference(self, changes: Sequence[Change]) -> bool:
        names = tuple(change.name for change in changes)
        purpose = f"a fresh process with {names[0] if len(names) == 1 else 'the state'} of this one"
        result = self._run(Experiment((self._cell,), session_names=names), purpose)
        self._set_names = self._set_names or result.restored_names
        return result.reference_digest != self._digest and self._outcomes.issuperset(result.outcomes)

    def _run(self, experiment: Experiment, purpose: str) -> ExperimentResult:
        return self._budget.run_experiment(experiment, purpose, self._interpreter)


def _list_changes(changes: Sequence[Change]) -> str:
    listed = "; ".join(f"{change.name} {change.description}" for change in changes[:_MAX_LISTED])
    more = len(changes) - _MAX_LISTED
    return f"{listed}; and {more} more" if more > 0 else listed


def _explain(changes: Sequence[Change]) -> Finding:
    finding = build_finding(SHARED_STATE, Evidence(changes=tuple(changes)))
    explanation = (
        f"earlier tests left state that a fresh process lacks: {_list_changes(changes)}; "
        "with it, a fresh process computes something else too"
    )
    name = changes[0].name
    fix = f"let the test that changes {name} put it back, in a fixture or with monkeypatch"
    return replace(finding, explanation=explanation, fix=finding.fix if name.startswith("fixture ") else fix)
