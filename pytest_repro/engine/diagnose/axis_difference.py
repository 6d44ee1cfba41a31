"""Why runs differ between two values of an axis, each of which repeats itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from pytest_repro.axes import Interpreter, get_axis
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose.budgeted_experiments import ExperimentBudget, ExperimentFailed
from pytest_repro.engine.diagnose.locate import is_before_ops, locate_by_line, locate_by_op
from pytest_repro.engine.diagnose.suspects import (
    build_finding,
    build_unknown_finding,
    describe_suspension,
    get_axis_cause_name,
    get_cause_name,
    rank_suspects,
)

_SAME_SEED, _OTHER_SEED = "1", "2"
"""Hash seeds of the interpreters that are compared."""

_LAYOUT_NOTE = (
    "an interpreter with the same hash seed gave something else once its memory was laid out in another way"
)
_BARE_NAME = "hash seed 1, nothing imported"
_MORE_SEEDS = ("3", "4", "5")
_SESSION_NOTE = (
    "fresh interpreters agree, whatever their hash seed and the layout of their memory; only the session's "
    "own gave something else, where other tests had run before: what they left behind could not be seen"
)
_UNINITIALISED = "uninitialised-memory"


def diagnose_axis(
    budget: ExperimentBudget, axis: str, value: object, setting: Mapping[str, object]
) -> tuple[Divergence | None, Finding]:
    """The first op that parted between the reference of *axis* and *value*, and why.

    Args:
        budget: Makes the experiments.
        axis: What is varied.
        value: The value that differs.
        setting: Axis → value, of the reference.
    """
    inquiry = _AxisDiagnosis(budget, axis, value, setting)
    try:
        finding = inquiry.diagnose_processes() if axis == "process" else inquiry.diagnose_values()
    except ExperimentFailed as why:
        finding = build_unknown_finding(f"it could not be established: {why}")
    return inquiry.divergence, finding


class _AxisDiagnosis:
    """The two sides: the reference, and the value that differs."""

    def __init__(
        self, budget: ExperimentBudget, axis: str, value: object, setting: Mapping[str, object]
    ) -> None:
        self._budget, self._axis, self._value = budget, get_axis(axis), value
        self._reference = Cell(REPEAT, 0, setting)
        self._cell = Cell(axis, value, {**setting, axis: value})
        self.divergence: Divergence | None = None

    def diagnose_values(self) -> Finding:
        """Of an axis that is its own cause: what remains is where it began."""
        here = self._run_cell(self._reference, None)
        elsewhere = self._axis.build_interpreter(self._value) if self._axis.remote else None
        there = self._run_cell(self._cell, elsewhere)
        self._compare(here, there)
        name = get_axis_cause_name(self._axis.name)
        return build_finding((name,), Evidence(here.calls, self.divergence), self._describe_pair())

    def _describe_pair(self) -> str:
        return self._axis.format_pair(self._reference.setting[self._axis.name], self._value)

    def _run_cell(
        self, cell: Cell, interpreter: Interpreter | None, suspensions: tuple[str, ...] = ()
    ) -> ExperimentResult:
        # Where dtypes or devices differ, so do all digests.
        traced = not (self._axis.mixes_dtypes or self._axis.name == "device")
        asked = Experiment((cell,), suspensions, trace_ops=traced, log_calls=True)
        return self._budget.run_experiment(
            asked, f"run with {self._axis.format_value(cell.setting[self._axis.name])}", interpreter
        )

    def _compare(self, a: ExperimentResult, b: ExperimentResult) -> None:
        if a.traces and b.traces:
            self.divergence = first_divergence(a.traces[0], b.traces[0])

    def diagnose_processes(self) -> Finding:
        """Of two interpreters: their hash seeds, their addresses, or anything else of a process."""
        places = ((_SAME_SEED, 1), (_SAME_SEED, 2), (_OTHER_SEED, 1))
        self._budget.start_interpreters([_make_interpreter(*each) for each in places])
        like, again, other = (self._run_in_interpreter(*each) for each in places)
        self._compare(like, other)
        evidence = Evidence(like.calls, self.divergence)
        if not like.equal:
            return self._diagnose_suspects(evidence, like)
        sides = self._find_layout_sides(evidence, like)
        if sides:
            found = build_finding(("address-order",), evidence, _LAYOUT_NOTE)
            return self._locate(
                replace(found, ruled_out=("hash-seed",) * (like.reference_digest == other.reference_digest)),
                sides,
            )
        if like.reference_digest == again.reference_digest != other.reference_digest:
            sides = [_Side(_make_interpreter(_SAME_SEED, 1)), _Side(_make_interpreter(_OTHER_SEED, 1))]
            found = build_finding(("hash-seed",), evidence)
            return self._locate(replace(found, ruled_out=("address-order",)), sides)
        if like.reference_digest == again.reference_digest:
            return self._diagnose_session(evidence, like)
        return self._diagnose_suspects(evidence, like)

    def _find_layout_sides(self, evidence: Evidence, first_result: ExperimentResult) -> list[_Side]:
        """Two sides that differ by how memory is laid out and by nothing else; none where it is no matter.

        What lies where is settled for a run's own objects when it makes them, for classes and
        functions when they are imported.
        """
        # Memory that nobody has written to differs as well when it is laid out in another way.
        ways = (_UNINITIALISED,) * bool(evidence.calls_for(_UNINITIALISED))
        here = _Side(_make_interpreter(_SAME_SEED, 1))
        plain = self._run_side(here, ways) if ways else first_result
        if self._run_side(here._replace(shifted_heap=True), ways).reference_digest != plain.reference_digest:
            return [here, here._replace(shifted_heap=True)]
        bare = _Side(
            Interpreter(environ={"PYTHONHASHSEED": _SAME_SEED}, name=_BARE_NAME, imports_per_run=True)
        )
        with suppress(ExperimentFailed):
            one, laid = (
                self._run_side(each, ways).reference_digest
                for each in (bare, bare._replace(shifted_heap=True))
            )
            if one != laid and one == self._run_side(bare, ways).reference_digest:
                return [bare, bare._replace(shifted_heap=True)]
        return []

    def _diagnose_session(self, evidence: Evidence, first_result: ExperimentResult) -> Finding:
        """Interpreters agree, and only the session's own, which has run more before, gave something else."""
        more = [_make_interpreter(seed, 1) for seed in _MORE_SEEDS]
        self._budget.start_interpreters(more)
        for each in more:  # the order of two names is the same for every other hash seed
            if self._run_side(_Side(each)).reference_digest != first_result.reference_digest:
                sides = [_Side(_make_interpreter(_SAME_SEED, 1)), _Side(each)]
                return self._locate(build_finding(("hash-seed",), evidence), sides)
        asked = Experiment((self._cell, self._cell), log_calls=True, diff_state=True)
        twice = self._budget.run_experiment(
            asked, "run twice in one process", _make_interpreter(_SAME_SEED, 1)
        )
        if twice.changes and not twice.equal:
            return build_finding(("shared-state",), replace(evidence, changes=twice.changes))
        found = build_unknown_finding(_SESSION_NOTE)
        return replace(found, ruled_out=("hash-seed", "address-order"))

    def _diagnose_suspects(self, evidence: Evidence, first_result: ExperimentResult) -> Finding:
        """What differs between processes of one image: whatever a process draws, or is told, by itself."""
        ruled_out = ["hash-seed", "address-order"]
        for way in rank_suspects(evidence):
            if way != "shared-state" and self._is_equal_without(way, first_result):
                found = build_finding((way,), evidence)
                innocent = (name for name in dict.fromkeys(ruled_out) if name != found.name)
                return replace(found, ruled_out=tuple(innocent))
            ruled_out += [get_cause_name(way)] * (way != "shared-state")
        told = replace(evidence, divergence=None) if is_before_ops(self.divergence) else evidence
        found = build_finding(("process",), told)
        sides = [_Side(_make_interpreter(_SAME_SEED, number)) for number in (1, 2)]
        return self._locate(replace(found, ruled_out=tuple(dict.fromkeys(ruled_out))), sides)

    def _is_equal_without(self, suspension: str, first_result: ExperimentResult) -> bool:
        """Whether two interpreters give the same without *suspension*, and end as *first_result* did."""
        tried = self._run_in_interpreter(_SAME_SEED, 1, (suspension,))
        # Where what is held makes all runs fail, they are equal and say nothing.
        if not (tried.equal and set(first_result.outcomes).issuperset(tried.outcomes)):
            return False
        return (
            tried.reference_digest == self._run_in_interpreter(_SAME_SEED, 2, (suspension,)).reference_digest
        )

    def _locate(self, finding: Finding, sides: Sequence[_Side]) -> Finding:
        """*finding* with the line at which two sides first parted."""
        if is_before_ops(self.divergence):
            with suppress(ExperimentFailed):
                steps = [self._trace_lines(side).steps[0] for side in sides]
                finding = locate_by_line(finding, steps)
        return locate_by_op(finding, self.divergence)

    def _trace_lines(self, side: _Side) -> ExperimentResult:
        asked = Experiment((self._cell,), trace_lines=True, shift_heap=side.shifted_heap)
        return self._budget.run_experiment(asked, "run line by line", side.interpreter)

    def _run_in_interpreter(
        self, hash_seed: str, number: int, suspensions: tuple[str, ...] = ()
    ) -> ExperimentResult:
        """Two runs, each in a fork of one image of an interpreter."""
        return self._run_side(
            _Side(_make_interpreter(hash_seed, number)), suspensions, collect_evidence=not suspensions
        )

    def _run_side(
        self, side: _Side, suspensions: tuple[str, ...] = (), collect_evidence: bool = False
    ) -> ExperimentResult:
        """Two runs at a side, or one where an interpreter does not stay as it is from run to run."""
        cells = (self._cell,) * (1 if side.shifted_heap or side.interpreter.imports_per_run else 2)
        asked = Experiment(
            cells,
            suspensions,
            trace_ops=collect_evidence,
            log_calls=collect_evidence,
            fresh_forks=not side.shifted_heap,
            shift_heap=side.shifted_heap,
        )
        return self._budget.run_experiment(asked, _describe_run(side, suspensions), side.interpreter)


class _Side(NamedTuple):
    """Where runs are made.

    Attributes:
        interpreter: In a fork of which one.
        shifted_heap: Whether memory is laid out in another way first.
    """

    interpreter: Interpreter
    shifted_heap: bool = False


def _describe_run(side: _Side, suspensions: tuple[str, ...]) -> str:
    if side.shifted_heap:
        return "memory laid out in another way"
    return (
        ", ".join(map(describe_suspension, suspensions))
        or f"run in an interpreter with {side.interpreter.name}"
    )


def _make_interpreter(hash_seed: str, number: int) -> Interpreter:
    called = f"hash seed {hash_seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": hash_seed}, name=called)
