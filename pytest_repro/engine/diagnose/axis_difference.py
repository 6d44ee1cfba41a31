"""Diagnoses a difference between two values of an axis, each of which repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from pytest_repro.axes import Interpreter, get_axis
from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, Finding
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose.budgeted_experiments import ExperimentBudget, ExperimentFailed
from pytest_repro.engine.diagnose.locate import is_before_ops, locate_by_line, locate_by_op
from pytest_repro.engine.diagnose.suspects import (
    build_finding,
    build_unknown_finding,
    describe_suspension,
    get_cause_name,
    rank_suspects,
)

_SAME_SEED, _OTHER_SEED = "1", "2"
_MORE_SEEDS = ("3", "4", "5")
"""Values of ``PYTHONHASHSEED`` of the interpreters to compare."""

_LAYOUT_NOTE = "an interpreter with the same hash seed differs once its memory has another layout"
_SESSION_NOTE = (
    "fresh interpreters agree, whatever their hash seed and memory layout; only the interpreter of the "
    "session, which had run other tests before, differs: what they left behind was not found"
)


def diagnose_axis(
    budget: ExperimentBudget, axis: str, value: object, setting: Mapping[str, object]
) -> tuple[Divergence | None, Finding]:
    """The first op that diverged between the reference of *axis* and *value*, and the cause.

    Args:
        budget: Runs the experiments.
        axis: The axis that varies.
        value: The value that differs.
        setting: Axis → value, of the reference.
    """
    diagnosis = _AxisDiagnosis(budget, axis, value, setting)
    try:
        finding = diagnosis.diagnose()
    except ExperimentFailed as error:
        finding = build_unknown_finding(f"the cause could not be established: {error}")
    return diagnosis.divergence, finding


class _Side(NamedTuple):
    """Where to run: in a fork of *interpreter*, with another memory layout if *shifted_heap*."""

    interpreter: Interpreter
    shifted_heap: bool = False


class _AxisDiagnosis:
    """The reference, and the value that differs."""

    def __init__(
        self, budget: ExperimentBudget, axis: str, value: object, setting: Mapping[str, object]
    ) -> None:
        self._budget, self._axis, self._value = budget, get_axis(axis), value
        self._reference = Cell(REPEAT, 0, setting)
        self._cell = Cell(axis, value, {**setting, axis: value})
        self.divergence: Divergence | None = None

    def diagnose(self) -> Finding:
        if self._axis.differs_by_process_only:
            return self._diagnose_processes()
        reference = self._run_cell(self._reference, None)
        interpreter = self._axis.build_interpreter(self._value) if self._axis.remote else None
        self._find_divergence(reference, self._run_cell(self._cell, interpreter))
        if self._axis.cause_name:
            return build_finding((self._axis.cause_name,), Evidence(reference.calls, self.divergence))
        return locate_by_op(self._build_axis_finding(), self.divergence)

    def _build_axis_finding(self) -> Finding:
        """The finding that the axis itself is the cause."""
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
        interpreters = [
            _make_interpreter(*each) for each in ((_SAME_SEED, 1), (_SAME_SEED, 2), (_OTHER_SEED, 1))
        ]
        self._budget.start_interpreters(interpreters)
        first, same, other = (self._run_with_evidence(each) for each in interpreters)
        self._find_divergence(first, other)
        evidence = Evidence(first.calls, self.divergence)
        if not first.equal:
            return self._diagnose_suspects(evidence, first)
        sides = self._find_layout_sides(evidence, first)
        if sides:
            finding = build_finding(("address-order",), evidence, _LAYOUT_NOTE)
            ruled_out = ("hash-seed",) * (first.reference_digest == other.reference_digest)
            return self._locate(replace(finding, ruled_out=ruled_out), sides)
        if first.reference_digest != same.reference_digest:
            return self._diagnose_suspects(evidence, first)
        if first.reference_digest == other.reference_digest:
            return self._diagnose_session(evidence, first)
        finding = replace(build_finding(("hash-seed",), evidence), ruled_out=("address-order",))
        return self._locate(finding, [_Side(interpreters[0]), _Side(interpreters[2])])

    def _find_layout_sides(self, evidence: Evidence, first: ExperimentResult) -> list[_Side]:
        """Two sides that differ only in their memory layout; none if the layout makes no difference.

        The layout of a run's own objects is set when it creates them, that of classes and functions
        when they are imported.
        """
        suspensions = tuple(
            name
            for name in list_cause_names()
            if get_cause(name).depends_on_layout and evidence.calls_for(name)
        )
        side = _Side(_make_interpreter(_SAME_SEED, 1))
        shifted = side._replace(shifted_heap=True)
        plain = self._run_side(side, suspensions) if suspensions else first
        if self._run_side(shifted, suspensions).reference_digest != plain.reference_digest:
            return [side, shifted]
        bare = _Side(_make_bare_interpreter())
        shifted = bare._replace(shifted_heap=True)
        with suppress(ExperimentFailed):
            plain, other = (self._run_side(each, suspensions) for each in (bare, shifted))
            if plain.reference_digest != other.reference_digest and (
                plain.reference_digest == self._run_side(bare, suspensions).reference_digest
            ):
                return [bare, shifted]
        return []

    def _diagnose_session(self, evidence: Evidence, first: ExperimentResult) -> Finding:
        """Of interpreters that agree, while that of the session, which has run more before, differs."""
        interpreters = [_make_interpreter(seed, 1) for seed in _MORE_SEEDS]
        self._budget.start_interpreters(interpreters)
        for interpreter in interpreters:  # every other hash seed orders two names alike
            if self._run_side(_Side(interpreter)).reference_digest != first.reference_digest:
                sides = [_Side(_make_interpreter(_SAME_SEED, 1)), _Side(interpreter)]
                return self._locate(build_finding(("hash-seed",), evidence), sides)
        experiment = Experiment((self._cell, self._cell), log_calls=True, diff_state=True)
        twice = self._budget.run_experiment(
            experiment, "run twice in one process", _make_interpreter(_SAME_SEED, 1)
        )
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
            ruled_out[name] = None
        finding = replace(self._build_axis_finding(), ruled_out=tuple(ruled_out))
        return self._locate(finding, [_Side(_make_interpreter(_SAME_SEED, number)) for number in (1, 2)])

    def _is_equal_without(self, suspect: str, first: ExperimentResult) -> bool:
        """Whether two interpreters agree without *suspect*, with the outcomes of *first*."""
        a, b = (_Side(_make_interpreter(_SAME_SEED, number)) for number in (1, 2))
        result = self._run_side(a, (suspect,))
        # If suspending it makes all runs fail, they are equal but prove nothing.
        if not (result.equal and set(first.outcomes).issuperset(result.outcomes)):
            return False
        return result.reference_digest == self._run_side(b, (suspect,)).reference_digest

    def _locate(self, finding: Finding, sides: Sequence[_Side]) -> Finding:
        """*finding* with the line at which two sides first diverged."""
        if is_before_ops(self.divergence):
            with suppress(ExperimentFailed):
                finding = locate_by_line(finding, [self._trace_lines(side).steps[0] for side in sides])
        return locate_by_op(finding, self.divergence)

    def _trace_lines(self, side: _Side) -> ExperimentResult:
        experiment = Experiment((self._cell,), trace_lines=True, shift_heap=side.shifted_heap)
        return self._budget.run_experiment(experiment, "run line by line", side.interpreter)

    def _run_with_evidence(self, interpreter: Interpreter) -> ExperimentResult:
        return self._run_side(_Side(interpreter), collect_evidence=True)

    def _run_side(
        self, side: _Side, suspensions: tuple[str, ...] = (), collect_evidence: bool = False
    ) -> ExperimentResult:
        """Two runs at *side*, or one if its interpreter changes from run to run."""
        cells = (self._cell,) * (1 if side.shifted_heap or side.interpreter.imports_per_run else 2)
        experiment = Experiment(
            cells,
            suspensions,
            trace_ops=collect_evidence,
            log_calls=collect_evidence,
            fresh_forks=not side.shifted_heap,
            shift_heap=side.shifted_heap,
        )
        return self._budget.run_experiment(experiment, _describe_run(side, suspensions), side.interpreter)


def _describe_run(side: _Side, suspensions: tuple[str, ...]) -> str:
    if side.shifted_heap:
        return "run with another memory layout"
    described = ", ".join(map(describe_suspension, suspensions))
    return described or f"run in an interpreter with {side.interpreter.name}"


def _make_interpreter(hash_seed: str, number: int) -> Interpreter:
    name = f"hash seed {hash_seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": hash_seed}, name=name)


def _make_bare_interpreter() -> Interpreter:
    environ = {"PYTHONHASHSEED": _SAME_SEED}
    return Interpreter(
        environ=environ, name=f"hash seed {_SAME_SEED}, nothing imported", imports_per_run=True
    )
