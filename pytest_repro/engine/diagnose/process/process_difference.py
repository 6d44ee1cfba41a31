"""Diagnoses a difference between this process and a fresh one, each of which repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep, first_divergence
from pytest_repro.engine.diagnose import ExperimentBudget, ExperimentFailed, OutOfTime
from pytest_repro.engine.diagnose.findings import (
    LineExperiment,
    build_finding,
    build_unknown_finding,
    describe_suspension,
    find_row_order,
    get_cause_name,
    locate,
    rank_suspects,
)
from pytest_repro.engine.diagnose.process.import_difference import IMPORTS, ImportDiagnosis
from pytest_repro.engine.diagnose.process.layout_difference import BARE, LayoutDiagnosis
from pytest_repro.engine.diagnose.process.session_difference import SessionDiagnosis


def _make_interpreter(hash_seed: str, number: int = 1) -> Interpreter:
    name = f"hash seed {hash_seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": hash_seed}, name=name)


_FIRST, _SECOND, _OTHER_SEED = _make_interpreter("1"), _make_interpreter("1", 2), _make_interpreter("2")
_MORE_SEEDS = [_make_interpreter(seed) for seed in "345"]

_UNKNOWN = (
    "fresh processes with the same hash seed differ, and the addresses of their objects could not be held to "
    "see whether these matter: either an order depends on addresses (a set of functions, classes, modules or "
    "other objects), or the result on the process itself (its environment, its parent, its start time)"
)
_UNKNOWN_FIX = (
    "sort what comes out of sets by a name or a number; look for os.getppid(), os.environ, host names and "
    "temporary names in what the test computes"
)


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
        self._budget.start_interpreters([_FIRST, _SECOND, _OTHER_SEED, IMPORTS])
        self._results = [
            self._run(each, trace_ops=True, log_calls=True, digest_rows=True, digest_layout=True)
            for each in (_FIRST, _SECOND, _OTHER_SEED)
        ]
        first, second, other = self._results
        self.divergence = compare_ops(first, other)
        self._calls, evidence = first.calls, Evidence(first.calls, self.divergence)
        if not first.equal:
            return self._diagnose_suspects(evidence, first, first.differs_in_one_layout)
        layout = LayoutDiagnosis(self._budget, self._cell, _list_layout_dependent(evidence))
        if layout.differs_when_shifted(_FIRST):
            return self._blame_layout(evidence, layout, partial(layout.trace_lines, _FIRST))
        if finding := self._diagnose_imports(evidence):
            return finding
        if self._imports.differs_in_one_layout:
            return self._blame_process(("hash-seed", "address-order"))
        if first.reference_digest != second.reference_digest:
            return self._diagnose_interpreters(evidence, layout)
        with _allow_failure():
            if any(map(layout.differs_when_shifted, (IMPORTS, BARE))):
                return self._blame_layout(evidence, layout, layout.trace_lines)
        if first.reference_digest == other.reference_digest:
            return self._diagnose_session(evidence, first)
        finding = replace(build_finding("hash-seed", evidence), ruled_out=("address-order",))
        return self._locate(finding, [_FIRST, _OTHER_SEED])

    def _diagnose_imports(self, evidence: Evidence) -> Finding | None:
        with _allow_failure():
            return self._imports.find_cause(evidence)
        return None

    def _diagnose_interpreters(self, evidence: Evidence, layout: LayoutDiagnosis) -> Finding:
        """Of interpreters with the same hash seed that differ, while forks of each agree."""
        if layout.suspensions and self._is_equal_without(layout.suspensions, self._results[0]):
            return self._diagnose_suspects(evidence, self._results[0], False)
        trace_lines = partial(self._trace_lines, [_FIRST, _SECOND])
        for is_address_order in (
            partial(layout.differs_when_shifted, IMPORTS, 5),
            layout.agrees_with_fixed_addresses,
            partial(layout.differs_when_shifted, BARE),
        ):
            with _allow_failure():
                if is_address_order():
                    return self._blame_layout(evidence, layout, trace_lines)
                if layout.is_excluded:
                    break
        return self._diagnose_suspects(evidence, self._results[0], layout.is_excluded)

    def _blame_layout(
        self, evidence: Evidence, layout: LayoutDiagnosis, trace_lines: LineExperiment
    ) -> Finding:
        first, _, other = self._results
        finding = build_finding("address-order", evidence, layout.note)
        finding = replace(
            finding, ruled_out=("hash-seed",) * (first.reference_digest == other.reference_digest)
        )
        return locate(finding, self.divergence, trace_lines)

    def _diagnose_session(self, evidence: Evidence, first: ExperimentResult) -> Finding:
        """Of interpreters that agree, while that of the session, which has run more before, differs."""
        session = SessionDiagnosis(self._budget, self._cell, _FIRST, first, self._outcome)
        if finding := session.find_cause():
            return finding
        self._budget.start_interpreters(_MORE_SEEDS)
        for side in _MORE_SEEDS:  # every other hash seed orders two names alike
            if self._run(side).reference_digest != first.reference_digest:
                return self._locate(build_finding("hash-seed", evidence), [_FIRST, side])
        experiment = Experiment((self._cell, self._cell), log_calls=True, diff_state=True)
        twice = self._budget.run_experiment(experiment, "run twice in one process", _FIRST)
        if twice.changes and not twice.equal:
            return build_finding("shared-state", replace(evidence, changes=twice.changes))
        return session.conclude_unknown()

    def _diagnose_suspects(self, evidence: Evidence, first: ExperimentResult, same_layout: bool) -> Finding:
        """Of processes that differ: what each draws or receives by itself.

        Args:
            same_layout: Whether objects had the same addresses in some that differ.
        """
        ruled_out = dict.fromkeys(["hash-seed", *["address-order"] * same_layout])
        for suspect in rank_suspects(evidence):
            name = get_cause_name(suspect)
            if get_cause(name).needs_fresh_process:
                continue
            if self._is_equal_without((suspect,), first):
                innocent = tuple(each for each in ruled_out if each != name)
                return replace(build_finding(suspect, evidence), ruled_out=innocent)
            # What an import does is not suspended: that of the program, or one in a run.
            if not (first.equal or name == "address-order" or evidence.calls_for("import")):
                ruled_out[name] = None
        if not first.equal and (finding := self._diagnose_imports(evidence)):
            return finding
        if same_layout or self._imports.differs_in_one_layout:
            return self._blame_process(tuple(ruled_out))
        unknown = replace(build_unknown_finding(_UNKNOWN), fix=_UNKNOWN_FIX)
        return self._locate(unknown, [_FIRST, _SECOND])

    def _blame_process(self, ruled_out: tuple[str, ...]) -> Finding:
        finding = find_row_order(Evidence(self._calls), self._results, True) or self._process_finding
        return self._locate(replace(finding, ruled_out=ruled_out), [_FIRST, _SECOND])

    def _is_equal_without(self, suspects: tuple[str, ...], first: ExperimentResult) -> bool:
        """Whether two interpreters agree without *suspects*, with the outcomes of *first*."""
        result = self._run(_FIRST, suspects)
        # If suspending it makes all runs fail, they are equal but prove nothing.
        if not (result.equal and set(first.outcomes).issuperset(result.outcomes)):
            return False
        return result.reference_digest == self._run(_SECOND, suspects).reference_digest

    def _locate(self, finding: Finding, interpreters: Sequence[Interpreter]) -> Finding:
        return locate(finding, self.divergence, partial(self._trace_lines, interpreters))

    def _trace_lines(self, interpreters: Sequence[Interpreter]) -> list[tuple[LineStep, ...]]:
        experiment = Experiment((self._cell,), trace_lines=True)
        return [
            self._budget.run_experiment(experiment, "run line by line", each).steps[0]
            for each in interpreters
        ]

    def _run(
        self, interpreter: Interpreter, suspensions: tuple[str, ...] = (), **flags: Any
    ) -> ExperimentResult:
        """Two runs in forks of *interpreter*."""
        experiment = Experiment((self._cell,) * 2, suspensions, fresh_forks=True, **flags)
        purpose = ", ".join(map(describe_suspension, suspensions))
        purpose = purpose or f"run in an interpreter with {interpreter.name}"
        return self._budget.run_experiment(experiment, purpose, interpreter)
