"""The experiments of a diagnosis of processes that differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.chance import run_until_certain
from pytest_repro.engine.diagnose.findings import (
    build_finding,
    describe_suspension,
    get_cause_name,
    locate,
)
from pytest_repro.engine.diagnose.process.fresh_processes import (
    FIRST,
    FOURTH,
    HASH_SEED,
    IMPORTS,
    OTHER_SEED,
    SECOND,
    THIRD,
    allow_failure,
)
from pytest_repro.engine.diagnose.process.import_difference import ImportDiagnosis
from pytest_repro.engine.diagnose.process.layout_difference import LayoutDiagnosis


class ProcessRuns:
    """Runs *cell* in fresh processes, whose result differs from that of this process.

    Args:
        process_finding: That the process itself makes the difference: what is left if nothing else does.
        outcome: That of the run in this process.

    Attributes:
        divergence: The first op that diverged.
        results: Of two interpreters with one hash seed, and of one with another, as far as they have run.
    """

    divergence: Divergence | None = None

    def __init__(self, budget: ExperimentBudget, cell: Cell, process_finding: Finding, outcome: str) -> None:
        self._budget, self._cell, self._process_finding = budget, cell, process_finding
        self._outcome, self._second = outcome, SECOND
        self._imports = ImportDiagnosis(budget, cell)
        self._calls: tuple[ExternalCall, ...] = ()
        self.results: list[ExperimentResult] = []
        self._digests: Sequence[str] = ()  # of forks of one interpreter, if they differ
        self._further: tuple[Finding, ...] = ()

    @property
    def further(self) -> tuple[Finding, ...]:
        """Causes besides the first."""
        return self._further or self._imports.further

    def list_calls(self) -> tuple[str, ...]:
        """The calls that were seen, ``"time.time() at /a.py:8"``."""
        calls = (*self._imports.calls, *self._calls)
        return tuple(dict.fromkeys(f"{call.display_name} at {call.location}" for call in calls))

    def _run(
        self, interpreter: Interpreter, suspensions: tuple[str, ...] = (), runs: int = 2, **flags: Any
    ) -> ExperimentResult:
        """Runs in forks of *interpreter*."""
        experiment = Experiment((self._cell,) * runs, suspensions, fresh_forks=True, **flags)
        purpose = ", ".join(map(describe_suspension, suspensions))
        purpose = purpose or f"run in an interpreter with {interpreter.name}"
        return self._budget.run_experiment(experiment, purpose, interpreter)

    def _run_observed(self, interpreter: Interpreter) -> ExperimentResult:
        """A result that is compared with those of other interpreters."""
        result = self._run(interpreter, trace_ops=True, log_calls=True, digest_rows=True, digest_layout=True)
        self.results.append(result)
        return result

    def _do_more_layouts_differ(self) -> bool:
        """Whether more interpreters with the same hash seed, whose libraries have other addresses, differ."""
        process, digest = self._budget.this_process, self.results[0].reference_digest
        seen = process.digests_by_hash_seed.get(HASH_SEED) if process is not None else None
        for each in (THIRD,) if seen == digest else (THIRD, FOURTH):
            result = self._run(each, digest_rows=True, digest_layout=True)
            if result.reference_digest != digest:
                self.results[1], self._second = result, each
                return True
        return False

    def _differs_when_imports_are_shifted(self, layout: LayoutDiagnosis) -> bool:
        if layout.suspensions or not self._imports.is_observed:
            return layout.differs_when_shifted(IMPORTS, 9)
        return layout.note_shifted(self._imports.differs_when_shifted)

    def _diagnose_imports(self, evidence: Evidence) -> Finding | None:
        with allow_failure():
            if not (self._digests or self._imports.is_observed):
                self._imports.observe()
            return self._imports.find_cause(evidence)
        return None

    def _find_common_digest(self, suspects: tuple[str, ...], first: ExperimentResult) -> str:
        """That of two interpreters that agree without *suspects*, with the outcomes of *first*; or ``""``."""

        def run(count: int) -> ExperimentResult:
            return self._run(FIRST, suspects, runs=count, until_differing=True)

        result = run_until_certain(run, self._digests) if self._digests else run(2)
        # If suspending it makes all runs fail, they are equal but prove nothing.
        if not (result.equal and set(first.outcomes).issuperset(result.outcomes)):
            return ""
        second = self._run(self._second, suspects)
        is_common = second.equal and second.reference_digest == result.reference_digest
        return result.reference_digest if is_common else ""

    def _explain_hash_seed(self, evidence: Evidence, suspect: str) -> Finding:
        """That the hash seed makes a difference too, while *suspect* is suspended."""
        finding = build_finding(
            "hash-seed", evidence, f"; this is so while {get_cause_name(suspect)} is suspended"
        )
        return locate(finding, None, partial(self._trace_lines, [FIRST, OTHER_SEED], (suspect,)))

    def _locate(self, finding: Finding, interpreters: Sequence[Interpreter]) -> Finding:
        return locate(finding, self.divergence, partial(self._trace_lines, interpreters))

    def _trace_lines(
        self, interpreters: Sequence[Interpreter], suspended: tuple[str, ...] = ()
    ) -> list[tuple[LineStep, ...]]:
        experiment = Experiment((self._cell,), suspended, trace_lines=True)
        return [
            self._budget.run_experiment(experiment, "run line by line", each).steps[0]
            for each in interpreters
        ]
