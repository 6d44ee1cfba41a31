"""Diagnoses a difference between two values of an axis, each of which repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_repro.axes import Interpreter, get_axis
from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, Finding
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose import ExperimentBudget, ExperimentFailed
from pytest_repro.engine.diagnose.findings import (
    build_finding,
    build_unknown_finding,
    describe_suspension,
    get_cause_name,
    locate,
    rank_suspects,
)


class _Side(NamedTuple):
    """Where to run: in a fork of *interpreter*, with another memory layout if *shifted_heap*."""

    interpreter: Interpreter
    shifted_heap: bool = False


def _make_side(hash_seed: str, number: int = 1) -> _Side:
    name = f"hash seed {hash_seed}, interpreter {number}"
    return _Side(Interpreter(environ={"PYTHONHASHSEED": hash_seed}, name=name))


_FIRST, _SECOND, _OTHER_SEED = _make_side("1"), _make_side("1", 2), _make_side("2")
_MORE_SEEDS = [_make_side(seed) for seed in "345"]
_BARE = _Side(
    Interpreter(environ={"PYTHONHASHSEED": "1"}, name="hash seed 1, nothing imported", imports_per_run=True)
)

_LAYOUT_NOTE = "an interpreter with the same hash seed differs once its memory has another layout"
_SESSION_NOTE = (
    "fresh interpreters agree, whatever their hash seed and memory layout; only the interpreter of the "
    "session, which had run other tests before, differs: what they left behind was not found"
)


class AxisDiagnosis:
    """Why *value* of *axis* differs from the reference, whose *setting* is axis → value.

    Attributes:
        divergence: The first op that diverged.
    """

    divergence: Divergence | None = None

    def __init__(
        self, budget: ExperimentBudget, axis: str, value: object, setting: Mapping[str, object]
    ) -> None:
        self._budget, self._axis, self._value = budget, get_axis(axis), value
        self._reference = Cell(REPEAT, 0, setting)
        self._cell = Cell(axis, value, {**setting, axis: value})

    def diagnose(self) -> Finding:
        try:
            return self._find_cause()
        except ExperimentFailed as error:
            axis, reference = self._axis, self._reference.setting[self._axis.name]
            between = f"{axis.format_value(reference)} and {axis.format_value(self._value)}"
            explanation = f"runs agree at each value, and differ between {between}"
            explanation += f"; why could not be established: {error}"
            return locate(Finding(axis.name, "", explanation, axis.cause_fix), self.divergence)

    def _find_cause(self) -> Finding:
        if self._axis.differs_by_process_only:
            return self._diagnose_processes()
        self._budget.runs_here = not self._axis.remote and self._budget.this_process is not None
        reference = self._run_cell(self._reference, None)
        interpreter = self._axis.build_interpreter(self._value) if self._axis.remote else None
        self._find_divergence(reference, self._run_cell(self._cell, interpreter))
        if self._axis.cause_name:
            return build_finding((self._axis.cause_name,), Evidence(reference.calls, self.divergence))
        return locate(self._build_axis_finding(), self.divergence)

    def _build_axis_finding(self) -> Finding:
        reference = self._reference.setting[self._axis.name]
        explanation = self._axis.explain_difference(reference, self._value)
        return Finding(self._axis.name, "", explanation, self._axis.cause_fix)

    def _run_cell(self, cell: Cell, interpreter: Interpreter | None) -> ExperimentResult:
        experiment = Experiment((cell,), trace_ops=self._axis.comparable_ops, log_calls=True)
        purpose = f"run with {self._axis.format_value(cell.setting[self._axis.name])}"
        return self._budget.run_experiment(experiment, purpose, interpreter)

    def _find_divergence(self, a: ExperimentResult, b: ExperimentResult) -> None:
        if a.traces and b.traces:
            self.divergence = first_divergence(a.traces[0], b.traces[0])

    def _diagnose_processes(self) -> Finding:
        """Of two interpreters: their hash seeds, their addresses, or anything else of a process."""
        sides = [_FIRST, _SECOND, _OTHER_SEED]
        self._budget.start_interpreters([side.interpreter for side in sides])
        first, second, other = (self._run_side(side, trace_ops=True, log_calls=True) for side in sides)
        self._find_divergence(first, other)
        evidence = Evidence(first.calls, self.divergence)
        if not first.equal:
            return self._diagnose_suspects(evidence, first)
        same_result = first.reference_digest == other.reference_digest
        if sides := self._find_layout_sides(evidence, first):
            finding = build_finding(("address-order",), evidence, _LAYOUT_NOTE)
            return self._locate(replace(finding, ruled_out=("hash-seed",) * same_result), sides)
        if first.reference_digest != second.reference_digest:
            return self._diagnose_suspects(evidence, first)
        if same_result:
            return self._diagnose_session(evidence, first)
        finding = replace(build_finding(("hash-seed",), evidence), ruled_out=("address-order",))
        return self._locate(finding, [_FIRST, _OTHER_SEED])

    def _find_layout_sides(self, evidence: Evidence, first: ExperimentResult) -> list[_Side]:
        """Two sides that differ only in their memory layout; none if the layout makes no difference.

        The layout of a run's own objects is set when it creates them, that of classes and functions
        when they are imported.
        """
        names = (name for name in list_cause_names() if get_cause(name).depends_on_layout)
        suspensions = tuple(name for name in names if evidence.calls_for(name))
        shifted = _FIRST._replace(shifted_heap=True)
        plain = self._run_side(_FIRST, suspensions) if suspensions else first
        if self._run_side(shifted, suspensions).reference_digest != plain.reference_digest:
            return [_FIRST, shifted]
        shifted = _BARE._replace(shifted_heap=True)
        with suppress(ExperimentFailed):
            a, b = (self._run_side(side, suspensions).reference_digest for side in (_BARE, shifted))
            if a != b and a == self._run_side(_BARE, suspensions).reference_digest:
                return [_BARE, shifted]
        return []

    def _diagnose_session(self, evidence: Evidence, first: ExperimentResult) -> Finding:
        """Of interpreters that agree, while that of the session, which has run more before, differs."""
        self._budget.start_interpreters([side.interpreter for side in _MORE_SEEDS])
        for side in _MORE_SEEDS:  # every other hash seed orders two names alike
            if self._run_side(side).reference_digest != first.reference_digest:
                return self._locate(build_finding(("hash-seed",), evidence), [_FIRST, side])
        experiment = Experiment((self._cell, self._cell), log_calls=True, diff_state=True)
        twice = self._budget.run_experiment(experiment, "run twice in one process", _FIRST.interpreter)
        if twice.changes and not twice.equal:
            return build_finding(("shared-state",), replace(evidence, changes=twice.changes))
        return replace(build_unknown_finding(_SESSION_NOTE), ruled_out=("hash-seed", "address-order"))

    def _diagnose_suspects(self, evidence: Evidence, first: ExperimentResult) -> Finding:
        """Of forks of one image that differ: what each process draws or receives by itself."""
        ruled_out = dict.fromkeys(["hash-seed", "address-order"])
        for suspect in rank_suspects(evidence):
            name = get_cause_name(suspect)
            if get_cause(name).needs_fresh_process:
                continue
            if self._is_equal_without(suspect, first):
                innocent = tuple(each for each in ruled_out if each != name)
                return replace(build_finding((suspect,), evidence), ruled_out=innocent)
            # What an import does is not suspended: that of the program, or one in a run.
            if not (first.equal or evidence.calls_for("import")):
                ruled_out[name] = None
        finding = replace(self._build_axis_finding(), ruled_out=tuple(ruled_out))
        return self._locate(finding, [_FIRST, _SECOND])

    def _is_equal_without(self, suspect: str, first: ExperimentResult) -> bool:
        """Whether two interpreters agree without *suspect*, with the outcomes of *first*."""
        result = self._run_side(_FIRST, (suspect,))
        # If suspending it makes all runs fail, they are equal but prove nothing.
        if not (result.equal and set(first.outcomes).issuperset(result.outcomes)):
            return False
        return result.reference_digest == self._run_side(_SECOND, (suspect,)).reference_digest

    def _locate(self, finding: Finding, sides: Sequence[_Side]) -> Finding:
        return locate(finding, self.divergence, lambda: [self._trace_lines(side).steps[0] for side in sides])

    def _trace_lines(self, side: _Side) -> ExperimentResult:
        experiment = Experiment((self._cell,), trace_lines=True, shift_heap=side.shifted_heap)
        return self._budget.run_experiment(experiment, "run line by line", side.interpreter)

    def _run_side(self, side: _Side, suspensions: tuple[str, ...] = (), **flags: Any) -> ExperimentResult:
        """Two runs at *side*, or one if its interpreter changes from run to run."""
        interpreter, shifted = side
        cells = (self._cell,) * (1 if shifted or interpreter.imports_per_run else 2)
        experiment = Experiment(cells, suspensions, fresh_forks=not shifted, shift_heap=shifted, **flags)
        purpose = ", ".join(map(describe_suspension, suspensions))
        if shifted:
            purpose = "run with another memory layout"
        return self._budget.run_experiment(
            experiment, purpose or f"run in an interpreter with {interpreter.name}", interpreter
        )
