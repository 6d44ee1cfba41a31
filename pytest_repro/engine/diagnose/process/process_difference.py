"""Diagnoses a difference between this process and a fresh one, each of which repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_repro.axes import Interpreter
from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose import ExperimentBudget, ExperimentFailed, OutOfTime
from pytest_repro.engine.diagnose.findings import (
    build_finding,
    describe_suspension,
    find_row_order,
    get_cause_name,
    locate,
    rank_suspects,
)
from pytest_repro.engine.diagnose.process.import_difference import IMPORTS, ImportDiagnosis
from pytest_repro.engine.diagnose.process.session_difference import SessionDiagnosis


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


def compare_ops(a: ExperimentResult, b: ExperimentResult) -> Divergence | None:
    """The first op at which two traced runs diverge."""
    return first_divergence(a.traces[0], b.traces[0]) if a.traces and b.traces else None


def _list_layout_dependent(evidence: Evidence) -> tuple[str, ...]:
    names = (name for name in list_cause_names() if get_cause(name).depends_on_layout)
    return tuple(name for name in names if evidence.calls_for(name))


@contextmanager
def _allow_failure() -> Iterator[None]:
    """Experiments of the block may be impossible for this program; too little time is no answer, though."""
    try:
        yield
    except OutOfTime:
        raise
    except ExperimentFailed:
        pass


class ProcessDiagnosis:
    """Why the result of *cell*, in a fresh process, differs from that of this process.

    Args:
        process_finding: That the process itself makes the difference: what is left if nothing else does.
        outcome: That of the run in this process.

    Attributes:
        divergence: The first op that diverged.
    """

    divergence: Divergence | None = None

    def __init__(self, budget: ExperimentBudget, cell: Cell, process_finding: Finding, outcome: str) -> None:
        self._budget, self._cell, self._process_finding = budget, cell, process_finding
        self._outcome = outcome

        self._imports = ImportDiagnosis(budget, cell)
        self._calls: tuple[ExternalCall, ...] = ()
        self._results: list[ExperimentResult] = []

    @property
    def further(self) -> tuple[Finding, ...]:
        """Causes besides the first."""
        return self._imports.further

    def list_calls(self) -> tuple[str, ...]:
        """The calls that were seen, ``"time.time() at /a.py:8"``."""
        calls = (*self._imports.calls, *self._calls)
        return tuple(dict.fromkeys(f"{call.display_name} at {call.location}" for call in calls))

    def find_cause(self) -> Finding:
        """Of two interpreters: what they import, their hash seeds, their addresses, or anything else."""
        sides = [_FIRST, _SECOND, _OTHER_SEED]
        self._budget.start_interpreters([*(side.interpreter for side in sides), IMPORTS])
        self._results = [
            self._run_side(side, trace_ops=True, log_calls=True, digest_rows=True) for side in sides
        ]
        first, second, other = self._results
        self.divergence = compare_ops(first, other)
        self._calls, evidence = first.calls, Evidence(first.calls, self.divergence)
        if not first.equal:
            return self._diagnose_suspects(evidence, first)
        same_result = first.reference_digest == other.reference_digest
        if sides := self._find_layout_sides(evidence, first):
            return self._blame_layout(evidence, sides, same_result)
        if finding := self._diagnose_imports(evidence):
            return finding
        if self._imports.differs:  # with the same layout and hash seed
            return self._blame_process(("hash-seed", "address-order"))
        if sides := self._find_import_layout_sides(evidence):
            return self._blame_layout(evidence, sides, same_result)
        if first.reference_digest != second.reference_digest:
            return self._diagnose_suspects(evidence, first)
        if same_result:
            return self._diagnose_session(evidence, first)
        finding = replace(build_finding("hash-seed", evidence), ruled_out=("address-order",))
        return self._locate(finding, [_FIRST, _OTHER_SEED])

    def _diagnose_imports(self, evidence: Evidence) -> Finding | None:
        with _allow_failure():
            return self._imports.find_cause(evidence)
        return None

    def _find_layout_sides(self, evidence: Evidence, first: ExperimentResult) -> list[_Side]:
        """Two sides that differ only in the layout of what a run creates; none if that is no difference."""
        suspensions = _list_layout_dependent(evidence)
        shifted = _FIRST._replace(shifted_heap=True)
        plain = self._run_side(_FIRST, suspensions) if suspensions else first
        differs = self._run_side(shifted, suspensions).reference_digest != plain.reference_digest
        return [_FIRST, shifted] if differs else []

    def _find_import_layout_sides(self, evidence: Evidence) -> list[_Side]:
        """Two sides that differ only in the layout of what is imported, such as classes and functions."""
        suspensions, shifted = _list_layout_dependent(evidence), _BARE._replace(shifted_heap=True)
        with _allow_failure():
            a, b = (self._run_side(side, suspensions).reference_digest for side in (_BARE, shifted))
            if a != b and a == self._run_side(_BARE, suspensions).reference_digest:
                return [_BARE, shifted]
        return []

    def _blame_layout(self, evidence: Evidence, sides: Sequence[_Side], same_result: bool) -> Finding:
        finding = build_finding("address-order", evidence, _LAYOUT_NOTE)
        return self._locate(replace(finding, ruled_out=("hash-seed",) * same_result), sides)

    def _diagnose_session(self, evidence: Evidence, first: ExperimentResult) -> Finding:
        """Of interpreters that agree, while that of the session, which has run more before, differs."""
        session = SessionDiagnosis(self._budget, self._cell, _FIRST.interpreter, first, self._outcome)
        if finding := session.find_cause():
            return finding
        self._budget.start_interpreters([side.interpreter for side in _MORE_SEEDS])
        for side in _MORE_SEEDS:  # every other hash seed orders two names alike
            if self._run_side(side).reference_digest != first.reference_digest:
                return self._locate(build_finding("hash-seed", evidence), [_FIRST, side])
        experiment = Experiment((self._cell, self._cell), log_calls=True, diff_state=True)
        twice = self._budget.run_experiment(experiment, "run twice in one process", _FIRST.interpreter)
        if twice.changes and not twice.equal:
            return build_finding("shared-state", replace(evidence, changes=twice.changes))
        return session.conclude_unknown()

    def _diagnose_suspects(self, evidence: Evidence, first: ExperimentResult) -> Finding:
        """Of forks of one image that differ: what each process draws or receives by itself."""
        ruled_out = dict.fromkeys(["hash-seed", "address-order"])
        for suspect in rank_suspects(evidence):
            name = get_cause_name(suspect)
            if get_cause(name).needs_fresh_process:
                continue
            if self._is_equal_without(suspect, first):
                innocent = tuple(each for each in ruled_out if each != name)
                return replace(build_finding(suspect, evidence), ruled_out=innocent)
            # What an import does is not suspended: that of the program, or one in a run.
            if not (first.equal or evidence.calls_for("import")):
                ruled_out[name] = None
        if not first.equal and (finding := self._diagnose_imports(evidence)):
            return finding
        return self._blame_process(tuple(ruled_out))

    def _blame_process(self, ruled_out: tuple[str, ...]) -> Finding:
        finding = find_row_order(Evidence(self._calls), self._results, True) or self._process_finding
        return self._locate(replace(finding, ruled_out=ruled_out), [_FIRST, _SECOND])

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
