"""Diagnoses a difference between this process and a fresh one, each of which repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.causes import get_cause
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.chance import repeat_until_known, run_until_certain
from pytest_repro.engine.diagnose.findings import (
    LineExperiment,
    build_finding,
    describe_suspension,
    find_row_order,
    get_cause_name,
    locate,
    rank_suspects,
)
from pytest_repro.engine.diagnose.process.fresh_processes import (
    FIRST,
    MORE_LAYOUTS,
    MORE_SEEDS,
    OTHER_SEED,
    SECOND,
    allow_failure,
    build_unheld_finding,
    compare_ops,
)
from pytest_repro.engine.diagnose.process.import_difference import IMPORTS, ImportDiagnosis
from pytest_repro.engine.diagnose.process.layout_difference import LayoutDiagnosis, list_layout_dependent
from pytest_repro.engine.diagnose.process.session_difference import SessionDiagnosis

_MANY_FORKS = 11
"""That five of them with another layout differ from all six others is chance once in 462 times."""


class ProcessDiagnosis:
    """Why the result of *cell*, in a fresh process, differs from that of this process.

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

    def find_cause(self) -> Finding:
        """Of two interpreters: what they import, their hash seeds, their addresses, or anything else."""
        self._budget.start_interpreters([FIRST, SECOND, OTHER_SEED, IMPORTS])
        for each in (FIRST, SECOND, OTHER_SEED):
            result = self._run(each, trace_ops=True, log_calls=True, digest_rows=True, digest_layout=True)
            self.results.append(result)
        first, second, other = self.results
        self.divergence = compare_ops(first, other)
        self._calls, evidence = first.calls, Evidence(first.calls, self.divergence)
        if noisy := [result for result in self.results if not result.equal]:
            return self._diagnose_forks(evidence, any(each.differs_in_one_layout for each in noisy))
        layout = LayoutDiagnosis(self._budget, self._cell, list_layout_dependent(evidence))
        is_address_order = layout.differs_when_shifted(FIRST, 5)
        if layout.differs_in_one_layout:
            return self._diagnose_forks(evidence, False)
        if is_address_order and layout.differs_when_shifted(FIRST, _MANY_FORKS):
            return self._blame_layout(evidence, layout, partial(layout.trace_lines, FIRST))
        if finding := self._diagnose_imports(evidence):
            return finding
        if self._imports.differs_in_one_layout:
            return self._blame_process(("hash-seed", "address-order"))
        if first.reference_digest != second.reference_digest:
            return self._diagnose_interpreters(evidence, layout)
        with allow_failure():
            if layout.differs_when_shifted(IMPORTS, 9) or layout.differs_with_moved_libraries():
                return self._blame_layout(evidence, layout, layout.trace_lines)
        if self._do_more_layouts_differ():
            return self._diagnose_interpreters(evidence, layout)
        if first.reference_digest == other.reference_digest:
            return self._diagnose_session(evidence, first)
        finding = replace(build_finding("hash-seed", evidence), ruled_out=("address-order",))
        return self._locate(finding, [FIRST, OTHER_SEED])

    def _do_more_layouts_differ(self) -> bool:
        """Whether more interpreters with the same hash seed, whose libraries have other addresses, differ."""
        self._budget.start_interpreters(MORE_LAYOUTS)
        for each in MORE_LAYOUTS:
            result = self._run(each, digest_rows=True, digest_layout=True)
            if result.reference_digest != self.results[0].reference_digest:
                self.results[1], self._second = result, each
                return True
        return False

    def _diagnose_forks(self, evidence: Evidence, same_layout: bool) -> Finding:
        """Of forks of one interpreter that differ, some of them by chance alike."""
        first = self.results[0]
        self._digests = repeat_until_known(
            [first], lambda count: self._run(FIRST, runs=self._budget.limit_runs(count))
        )
        return self._diagnose_suspects(evidence, first, same_layout)

    def _diagnose_imports(self, evidence: Evidence) -> Finding | None:
        with allow_failure():
            return self._imports.find_cause(evidence)
        return None

    def _diagnose_interpreters(self, evidence: Evidence, layout: LayoutDiagnosis) -> Finding:
        """Of interpreters with the same hash seed that differ, while forks of each agree."""
        if layout.suspensions and self._find_common_digest(layout.suspensions, self.results[0]):
            return self._diagnose_suspects(evidence, self.results[0], False)
        trace_lines = partial(self._trace_lines, [FIRST, self._second])
        for is_address_order in (
            partial(layout.differs_when_shifted, IMPORTS, 5),
            layout.agrees_with_fixed_addresses,
            layout.differs_when_shifted,
        ):
            with allow_failure():
                if is_address_order():
                    return self._blame_layout(evidence, layout, trace_lines)
                if layout.is_excluded:
                    break
        return self._diagnose_suspects(evidence, self.results[0], layout.is_excluded)

    def _blame_layout(
        self, evidence: Evidence, layout: LayoutDiagnosis, trace_lines: LineExperiment
    ) -> Finding:
        first, _, other = self.results
        finding = build_finding("address-order", evidence, layout.note)
        finding = replace(
            finding, ruled_out=("hash-seed",) * (first.reference_digest == other.reference_digest)
        )
        return locate(finding, self.divergence, trace_lines)

    def _diagnose_session(self, evidence: Evidence, first: ExperimentResult) -> Finding:
        """Of interpreters that agree, while that of the session, which has run more before, differs."""
        session = SessionDiagnosis(self._budget, self._cell, FIRST, first, self._outcome)
        if finding := session.find_cause():
            return finding
        self._budget.start_interpreters(MORE_SEEDS)
        for side in MORE_SEEDS:  # every other hash seed orders two names alike
            if self._run(side).reference_digest != first.reference_digest:
                return self._locate(build_finding("hash-seed", evidence), [FIRST, side])
        experiment = Experiment((self._cell, self._cell), log_calls=True, diff_state=True)
        twice = self._budget.run_experiment(experiment, "run twice in one process", FIRST)
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
            if digest := self._find_common_digest((suspect,), first):
                if self._run(OTHER_SEED, (suspect,)).reference_digest != digest:
                    del ruled_out["hash-seed"]
                    self._further = (self._explain_hash_seed(evidence, suspect),)
                innocent = tuple(each for each in ruled_out if each != name)
                return replace(build_finding(suspect, evidence), ruled_out=innocent)
            # What an import does is not suspended: that of the program, or one in a run.
            if self._digests and not (name == "address-order" or evidence.calls_for("import")):
                ruled_out[name] = None
        if self._digests and (finding := self._diagnose_imports(evidence)):
            return finding
        if same_layout or self._imports.differs_in_one_layout:
            return self._blame_process(tuple(ruled_out))
        return self._locate(build_unheld_finding(), [FIRST, self._second])

    def _blame_process(self, ruled_out: tuple[str, ...]) -> Finding:
        finding = find_row_order(Evidence(self._calls), self.results, True) or self._process_finding
        return self._locate(replace(finding, ruled_out=ruled_out), [FIRST, self._second])

    def _find_common_digest(self, suspects: tuple[str, ...], first: ExperimentResult) -> str:
        """That of two interpreters that agree without *suspects*, with the outcomes of *first*; or ``""``."""

        def run(count: int) -> ExperimentResult:
            return self._run(FIRST, suspects, runs=count)

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

    def _run(
        self, interpreter: Interpreter, suspensions: tuple[str, ...] = (), runs: int = 2, **flags: Any
    ) -> ExperimentResult:
        """Runs in forks of *interpreter*."""
        experiment = Experiment((self._cell,) * runs, suspensions, fresh_forks=True, **flags)
        purpose = ", ".join(map(describe_suspension, suspensions))
        purpose = purpose or f"run in an interpreter with {interpreter.name}"
        return self._budget.run_experiment(experiment, purpose, interpreter)
