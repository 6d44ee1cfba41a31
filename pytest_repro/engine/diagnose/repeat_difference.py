"""Why equal runs in one process differ: makes it happen again, then suspends one suspect at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_repro.causes.unknown import explain_rarity
from pytest_repro.core.diagnose import Evidence, ExperimentResult, Finding
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose import ExperimentFailed, OutOfTime
from pytest_repro.engine.diagnose.chance import (
    compute_matching_runs,
    compute_required_runs,
    list_digests,
    repeat_until_known,
)
from pytest_repro.engine.diagnose.findings import (
    ADDRESS_LAYOUT,
    IMPORT,
    add_seen_calls,
    build_finding,
    build_unknown_finding,
    describe_no_suspect,
    find_row_order,
    get_cause_name,
    list_ruled_out,
    list_suspended_completely,
    rank_suspects,
)
from pytest_repro.engine.diagnose.in_process import SuspectSearch
from pytest_repro.engine.diagnose.minimize import SHARED_STATE, minimize_calls, minimize_changes
from pytest_repro.engine.diagnose.repeat_runs import RepeatRuns
from pytest_repro.engine.diagnose.several_causes import (
    ActingCause,
    SeveralCauses,
    Trials,
    build_findings,
    build_first_findings,
)

_SETTLED_RUNS = 4
"""Runs that show, with two others, that only the first run of a process differs."""


class RepeatDiagnosis(RepeatRuns):
    """Why equal runs differ, all with the same setting.

    Attributes:
        further: The causes after the first, in the order in which they act.
    """

    further: tuple[Finding, ...] = ()

    def diagnose(self) -> Finding:
        try:
            finding = self._find_cause_here() or self._find_cause_in_forks()
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
        finding = build_unknown_finding(reason + note, replace(self._evidence, divergence=None))
        tested = {*self._ruled_out, *[SHARED_STATE] * bool(self._no_cause_reason)}
        return add_seen_calls(finding, self._evidence, tested - self._not_suspended.keys())

    def _find_cause_here(self) -> Finding | None:
        """The cause, if this process can tell."""
        if self._budget.this_process is None:
            return None
        self._budget.runs_here = True
        search = SuspectSearch(self._run, self._budget.this_process)
        try:
            suspect = search.find_suspect()
        except OutOfTime:
            raise
        except ExperimentFailed:  # another process may do better
            suspect = ""
        finally:
            self._evidence, self.divergence = search.evidence, search.divergence
            self._not_suspended.update(search.not_suspended)
            self._ineffective_suspensions = search.ineffective
            self._ruled_out = list(dict.fromkeys(map(get_cause_name, search.ineffective)))
        if suspect:
            self._runs_needed = compute_required_runs(search.free)
            return self._conclude([suspect])
        self._budget.runs_here = False
        return None

    def _find_cause_in_forks(self) -> Finding:
        first = self._run(2, "run again, recording ops", trace_ops=True, log_calls=True, diff_state=True)
        self._results = [first]
        if finding := self._find_settled_state(first):
            return finding
        digests = repeat_until_known(self._results, self._run_more)
        self._note_evidence(first)
        if not self._evidence.differing:
            process = "a fresh process" if self._budget.fresh_processes else "this process"
            reason = f"{len(digests)} more runs in {process} did not differ: {explain_rarity()}"
            return self._conclude_unknown(reason)
        runs_needed = compute_required_runs(digests)
        if not first.differing:
            self._note_evidence(first, self._trace_again(runs_needed))
        self._runs_needed = self._budget.limit_runs(runs_needed)
        if self._runs_needed < runs_needed:
            needs = f"to distinguish a suspect from chance takes {runs_needed} runs each"
            limit = f"the time limit (repro_diagnose_seconds) allows {self._runs_needed}"
            return self._conclude_unknown(f"{self._evidence.frequency}: {needs}, and {limit}")
        if finding := self._find_single_cause() or self._find_several_causes() or self._find_row_order():
            return finding
        return self._conclude_unknown(self._no_cause_reason or self._describe_no_suspect())

    def _note_evidence(self, first: ExperimentResult, traced: ExperimentResult | None = None) -> None:
        """Notes what runs without suspension have shown; *first* made the first of them."""
        digests = list_digests(self._results)
        # Logging calls may break a program, such as what numba compiles then: other runs show how it ends.
        plain = self._results[1:] or self._results
        self._outcomes = frozenset(outcome for result in plain for outcome in result.outcomes)
        self._traced = traced or first
        self.divergence = self._traced.divergence
        differing = sum(digest != digests[0] for digest in digests)
        self._evidence = Evidence(first.calls, self.divergence, first.changes, differing, len(digests) - 1)

    def _find_settled_state(self, first: ExperimentResult) -> Finding | None:
        """That the first run of a process changes state, if all later ones agree: few runs show that.

        Where one of many runs differs, it takes a hundred to know how often two agree.
        """
        if first.equal or not self._budget.fresh_processes:
            return None
        self._results.append(self._run_more(_SETTLED_RUNS))
        later, known = self._split_first_runs()
        if len({*later}) > 1 or len({*known}) > 1 or known[0] in later:
            return None
        self._note_evidence(first)
        self._runs_needed = len(later)
        is_first = next(iter(rank_suspects(self._evidence)), "") == SHARED_STATE
        with suppress(ExperimentFailed):
            if is_first and (finding := self._try_without(SHARED_STATE)):
                return finding
        self._no_cause_reason = ""
        return None

    def _describe_no_suspect(self) -> str:
        completely = list_suspended_completely(self._ruled_out, self._evidence, self._not_suspended)
        return describe_no_suspect(self._evidence, completely)

    def _find_single_cause(self) -> Finding | None:
        """The one suspect without which runs are equal."""
        tried_here = [
            s for s in self._ineffective_suspensions if get_cause_name(s) not in self._not_suspended
        ]
        for suspect in rank_suspects(self._evidence):
            if suspect in tried_here:
                continue
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

    def _find_several_causes(self) -> Finding | None:
        if self._no_cause_reason:  # runs in fresh processes agree, whatever else acts
            return None
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
            restored = experiment if suspended else self._plan(self._count_restored_runs())
            minimized = minimize_changes(evidence, restored, self._budget.run_experiment, self._is_equal)
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

    def _count_restored_runs(self) -> int:
        """The number of runs that tell from chance that, with state restored, all are as the first."""
        later, first = self._split_first_runs()
        if len(set(first)) > 1:
            return self._runs_needed
        return 1 + compute_matching_runs(later, first[0])

    def _conclude_first(self, causes: Sequence[ActingCause], divergence: Divergence | None) -> Finding:
        """The findings that *causes* make the first divergences, and that the next is unknown."""
        first, *further = build_first_findings(causes)
        names = ", ".join(dict.fromkeys(finding.name for finding in (first, *further)))
        reason = f"with {names} suspended, runs diverge later; {self._describe_no_suspect()}"
        unknown = build_unknown_finding(reason, replace(self._evidence, divergence=None))
        self.further = (*further, self._locate(unknown, divergence))
        return first
