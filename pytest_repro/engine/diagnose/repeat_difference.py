"""Why equal runs in one process differ: makes it happen again, then suspends one suspect at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_repro.causes import get_cause
from pytest_repro.causes.unknown import explain_rarity
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, Finding
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep
from pytest_repro.engine.diagnose import (
    ExperimentBudget,
    ExperimentFailed,
    OutOfTime,
    compute_required_runs,
    repeat_until_differs,
)
from pytest_repro.engine.diagnose.findings import (
    ADDRESS_LAYOUT,
    IMPORT,
    UNKNOWN,
    build_finding,
    build_unknown_finding,
    describe_no_suspect,
    describe_suspension,
    describe_unseen_state,
    find_row_order,
    get_cause_name,
    list_ruled_out,
    list_suspended_completely,
    locate,
    name_compiled_module,
    rank_suspects,
)
from pytest_repro.engine.diagnose.minimize import SHARED_STATE, minimize_calls, minimize_changes
from pytest_repro.engine.diagnose.several_causes import (
    ActingCause,
    SeveralCauses,
    Trials,
    build_findings,
    build_first_findings,
)

ADDRESS_ORDER = "address-order"


class RepeatDiagnosis:
    """Why equal runs differ, all with *setting*, which is axis → value.

    Attributes:
        divergence: The first op that diverged.
        further: The causes after the first, in the order in which they act.
    """

    divergence: Divergence | None = None
    further: tuple[Finding, ...] = ()

    def __init__(self, budget: ExperimentBudget, setting: Mapping[str, object]) -> None:
        self._budget, self._setting = budget, setting
        self._ruled_out: list[str] = []
        self._ineffective_suspensions: list[str] = []
        self._runs_needed, self._no_cause_reason = 2, ""
        self._outcomes: frozenset[str] = frozenset()
        self._evidence, self._traced, self._lines = Evidence(), ExperimentResult(0), ExperimentResult(0)
        unsuspendable = () if budget.fresh_processes else (SHARED_STATE, ADDRESS_ORDER)
        self._not_suspended = dict.fromkeys(unsuspendable, "no fresh process is available")

    def diagnose(self) -> Finding:
        try:
            finding = self._find_cause()
            finding = finding if self.further else self._locate(finding, self.divergence)
        except ExperimentFailed as error:
            finding, self.further = self._conclude_unknown(f"the cause could not be established: {error}"), ()
        completely = list_suspended_completely(self._ruled_out, self._evidence, self._not_suspended)
        ruled_out = list_ruled_out(completely, (finding, *self.further))
        self.further = tuple(replace(each, ruled_out=ruled_out) for each in self.further)
        return replace(finding, ruled_out=ruled_out)

    def _conclude_unknown(self, reason: str) -> Finding:
        tried: dict[str, list[str]] = {}
        for name in self._ruled_out:
            tried.setdefault(self._not_suspended.get(name, ""), []).append(name)
        texts = [f"{', '.join(names)} ({why})" for why, names in tried.items() if why]
        note = f"; could not be suspended: {'; '.join(texts)}" if texts else ""
        return build_unknown_finding(reason + note, replace(self._evidence, divergence=None))

    def _run(
        self, runs: int, purpose: str, suspended: Sequence[str] = (), **options: Any
    ) -> ExperimentResult:
        return self._budget.run_experiment(self._plan(runs, suspended, **options), purpose)

    def _plan(self, runs: int, suspended: Sequence[str] = (), **flags: Any) -> Experiment:
        cells = tuple(Cell(REPEAT, number, self._setting) for number in range(runs))
        return Experiment(cells, tuple(suspended), **flags)

    def _find_cause(self) -> Finding:
        first = self._run(2, "run again, recording ops", trace_ops=True, log_calls=True, diff_state=True)
        differing, runs, required_runs, self._outcomes = repeat_until_differs(first, self._run_more)
        if not differing:
            process = "a fresh process" if self._budget.fresh_processes else "this process"
            return build_unknown_finding(f"{runs} more runs in {process} did not differ: {explain_rarity()}")
        traced = first if first.differing else self._trace_again(differing, runs)
        self._traced, self.divergence = traced, traced.divergence
        self._evidence = Evidence(first.calls, self.divergence, first.changes, differing, runs)
        self._runs_needed = self._budget.limit_runs(required_runs)
        if self._runs_needed < required_runs:
            needs = f"to distinguish a suspect from chance takes {required_runs} runs each"
            limit = f"the time limit (repro_diagnose_seconds) allows {self._runs_needed}"
            return build_unknown_finding(f"{self._evidence.frequency}: {needs}, and {limit}")
        if finding := self._find_single_cause() or self._find_several_causes() or self._find_row_order():
            return finding
        return self._conclude_unknown(self._no_cause_reason or self._describe_no_suspect())

    def _describe_no_suspect(self) -> str:
        completely = list_suspended_completely(self._ruled_out, self._evidence, self._not_suspended)
        return describe_no_suspect(self._evidence, completely)

    def _locate(self, finding: Finding, divergence: Divergence | None) -> Finding:
        """*finding* with the line at which runs first diverge, if no op and no call shows it."""
        by_line = get_cause(finding.name).located_by_line
        finding = locate(finding, divergence, self._trace_lines if by_line else None)
        return name_compiled_module(finding, self._lines) if finding.name == UNKNOWN else finding

    def _trace_lines(self) -> Sequence[Sequence[LineStep]]:
        # Suspends what was ruled out, so that its lines are not taken for the first.
        suspended = [s for s in self._ineffective_suspensions if get_cause_name(s) in self._ruled_out]
        purpose = "run again, tracing lines"
        self._lines = self._run(self._runs_needed, purpose, suspended, trace_lines=True)
        return self._lines.steps

    def _run_more(self, count: int) -> ExperimentResult:
        return self._run(self._budget.limit_runs(count), "run again, to see how often it differs")

    def _trace_again(self, differing: int, runs: int) -> ExperimentResult:
        count = self._budget.limit_runs(2 * compute_required_runs(differing, runs))
        result = self._run(count, "run again, recording ops, until it differs", trace_ops=True)
        return result if result.differing else replace(result, traces=())

    def _find_single_cause(self) -> Finding | None:
        """The one suspect without which runs are equal."""
        for suspect in rank_suspects(self._evidence):
            try:
                finding = self._try_without(suspect)
            except OutOfTime:
                raise
            except ExperimentFailed:  # suspended, it makes the test hang or die, which rules out nothing
                continue
            if finding is not None:
                return finding
            name = get_cause_name(suspect)
            self._ineffective_suspensions += [suspect] * (suspect != SHARED_STATE)
            if name not in self._ruled_out and not (suspect == SHARED_STATE and self._no_cause_reason):
                self._ruled_out.append(name)
        return None

    def _try_without(self, suspect: str) -> Finding | None:
        if suspect == SHARED_STATE:
            found = self._try_fresh_processes()
        else:
            found = suspect if self._is_equal_without((suspect,)) else ""
        if get_cause_name(found) == IMPORT and self._depends_on_layout(found):
            found = ""
        return self._conclude([found]) if found else None

    def _depends_on_layout(self, suspect: str) -> bool:
        """Whether, without *suspect*, a run with another memory layout differs: an import changes it too."""
        if not self._budget.fresh_processes:
            return False
        purpose = "each run in a fresh process, the second with another memory layout"
        return not self._run(3, purpose, (suspect,), fresh_forks=True, shift_heap=True).equal

    def _is_equal_without(self, suspects: Sequence[str]) -> bool:
        purpose = ", ".join(map(describe_suspension, suspects))
        return self._is_equal(self._run(self._runs_needed, purpose, suspects))

    def _is_equal(self, result: ExperimentResult) -> bool:
        """Whether the runs are equal and end as without suspension: runs that all fail prove nothing."""
        self._not_suspended.update(result.not_suspendable)
        return result.equal and self._outcomes.issuperset(result.outcomes)

    def _try_fresh_processes(self, suspended: Sequence[str] = ()) -> str:
        """The suspect that explains why runs in fresh processes are equal; ``""`` if they are not."""
        if not self._budget.fresh_processes:
            return ""
        purpose = "each run in a fresh process"
        fresh = self._run(self._runs_needed, purpose, suspended, fresh_forks=True)
        if not self._is_equal(fresh):
            return ""
        # One shifted run is enough: a rare difference would have occurred in the fresh runs. All three
        # are forks of one moment, since addresses may change between experiments.
        purpose += ", the second with another memory layout"
        shifted = self._run(3, purpose, suspended, fresh_forks=True, shift_heap=True)
        if shifted.differing == (1,):
            return ADDRESS_LAYOUT
        seen = self._evidence.changes or self._evidence.calls_for(SHARED_STATE)
        if seen and shifted.equal and shifted.reference_digest == fresh.reference_digest:
            return SHARED_STATE
        self._no_cause_reason = describe_unseen_state()
        return ""

    def _find_several_causes(self) -> Finding | None:
        trials = Trials(
            self._run, self._is_equal, self._is_equal_without, self._try_fresh_processes,
            self._budget.limit_runs, self._runs_needed,
        )  # fmt: skip
        search = SeveralCauses(trials, self._evidence, self._ineffective_suspensions)
        if causes := search.find_causes():
            return self._conclude([cause.suspect for cause in causes], causes)
        if causes := search.find_first_causes(self._traced):
            return self._conclude_first(causes, search.divergence)
        return None

    def _find_row_order(self) -> Finding | None:
        """What no suspect explains: rows in another order."""
        if self._no_cause_reason:  # runs in fresh processes are equal
            return None
        count = self._budget.limit_runs(max(self._runs_needed, 4))
        result = self._run(count, "comparing rows", digest_rows=True)
        return find_row_order(self._evidence, [result], needs_call=bool(self._not_suspended))

    def _conclude(self, suspects: list[str], causes: Sequence[ActingCause] = ()) -> Finding | None:
        """The finding that *suspects* make the difference, reduced to the calls and changes that do.

        Args:
            causes: What is known of each of several.
        """
        suspended = [suspect for suspect in suspects if suspect not in (SHARED_STATE, ADDRESS_LAYOUT)]
        experiment, evidence = self._plan(self._runs_needed, suspended), self._evidence
        if SHARED_STATE in suspects:
            minimized = minimize_changes(evidence, experiment, self._budget.run_experiment, self._is_equal)
            if isinstance(minimized, str):
                self._no_cause_reason = minimized
                return None
            evidence = minimized
        experiment = experiment._replace(fresh_forks=len(suspended) < len(suspects))
        evidence = minimize_calls(evidence, suspended, experiment, self._budget.run_experiment)
        if not causes:
            return build_finding(suspects[0], evidence)
        first, *further = build_findings(causes, evidence)
        self.further = tuple(further)
        return first

    def _conclude_first(self, causes: Sequence[ActingCause], divergence: Divergence | None) -> Finding:
        """The findings that *causes* make the first divergences, and that the next is unknown."""
        first, *further = build_first_findings(causes)
        names = ", ".join(dict.fromkeys(finding.name for finding in (first, *further)))
        reason = f"with {names} suspended, runs diverge later; {self._describe_no_suspect()}"
        unknown = build_unknown_finding(reason, replace(self._evidence, divergence=None))
        self.further = (*further, self._locate(unknown, divergence))
        return first
