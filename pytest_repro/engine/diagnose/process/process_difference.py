"""Diagnoses a difference between this process and a fresh one, each of which repeats."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pytest_repro.causes import get_cause
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, Finding
from pytest_repro.engine.diagnose.chance import repeat_until_known
from pytest_repro.engine.diagnose.findings import (
    LineExperiment,
    build_finding,
    find_row_order,
    get_cause_name,
    locate,
    rank_suspects,
)
from pytest_repro.engine.diagnose.process.fresh_processes import (
    FIRST,
    MORE_SEEDS,
    OTHER_SEED,
    SECOND,
    THIRD,
    allow_failure,
    build_unheld_finding,
    compare_ops,
)
from pytest_repro.engine.diagnose.process.layout_difference import LayoutDiagnosis, list_layout_dependent
from pytest_repro.engine.diagnose.process.process_runs import ProcessRuns
from pytest_repro.engine.diagnose.process.session_difference import SessionDiagnosis

_MANY_FORKS = 11
"""That five of them with another layout differ from all six others is chance once in 462 times."""

_EARLY_RUNS, _EARLY_SECONDS = 14, 2.0
"""Runs that are made while other interpreters start, if they take no more time than that."""


class ProcessDiagnosis(ProcessRuns):
    """Why the result of a test in a fresh process differs from that in this process."""

    def find_cause(self) -> Finding:
        """Of two interpreters: what they import, their hash seeds, their addresses, or anything else."""
        self._budget.start_interpreters([FIRST, SECOND])
        first = self._run_observed(FIRST)
        self._calls, self.divergence = first.calls, first.divergence
        if not first.equal:
            return self._diagnose_forks(Evidence(first.calls, self.divergence), first.differs_in_one_layout)
        self._budget.start_interpreters([OTHER_SEED, THIRD])
        layout = LayoutDiagnosis(self._budget, self._cell, list_layout_dependent(Evidence(first.calls)))
        is_quick = self._budget.takes(_EARLY_RUNS) < _EARLY_SECONDS
        is_address_order = is_quick and self._observe_layouts(layout)
        second, other = self._run_observed(SECOND), self._run_observed(OTHER_SEED)
        self.divergence = compare_ops(first, other)
        evidence = Evidence(first.calls, self.divergence)
        if noisy := [result for result in self.results if not result.equal]:
            return self._diagnose_forks(evidence, any(each.differs_in_one_layout for each in noisy))
        is_address_order = is_address_order if is_quick else layout.differs_when_shifted(FIRST, 5)
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
            if self._differs_when_imports_are_shifted(layout) or layout.differs_with_moved_libraries():
                return self._blame_layout(evidence, layout, layout.trace_lines)
        if self._do_more_layouts_differ():
            return self._diagnose_interpreters(evidence, layout)
        if first.reference_digest == other.reference_digest:
            return self._diagnose_session(evidence, first)
        finding = replace(build_finding("hash-seed", evidence), ruled_out=("address-order",))
        return self._locate(finding, [FIRST, OTHER_SEED])

    def _observe_layouts(self, layout: LayoutDiagnosis) -> bool:
        """Makes runs with other memory layouts while interpreters start; whether those of objects matter."""
        differs = layout.differs_when_shifted(FIRST, 5)
        if not (differs or layout.differs_in_one_layout):
            with allow_failure():
                self._imports.observe()
        return differs

    def _diagnose_forks(self, evidence: Evidence, same_layout: bool) -> Finding:
        """Of forks of one interpreter that differ, some of them by chance alike."""
        first = self.results[0]
        results = [first]
        self._digests = repeat_until_known(
            results, lambda count: self._run(FIRST, runs=self._budget.limit_runs(count), digest_layout=True)
        )
        same_layout = same_layout or any(each.differs_in_one_layout for each in results)
        return self._diagnose_suspects(evidence, first, same_layout)

    def _diagnose_interpreters(self, evidence: Evidence, layout: LayoutDiagnosis) -> Finding:
        """Of interpreters with the same hash seed that differ, while forks of each agree."""
        if layout.suspensions and self._find_common_digest(layout.suspensions, self.results[0]):
            return self._diagnose_suspects(evidence, self.results[0], False)
        trace_lines = partial(self._trace_lines, [FIRST, self._second])
        for is_address_order in (
            partial(self._differs_when_imports_are_shifted, layout),
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
        first, *_, other = self.results
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
