"""Why equal runs in one process differ: makes it happen again, then suspends one suspect at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.causes.unknown import explain_rarity
from pytest_repro.core.diagnose import Evidence, ExperimentResult, Finding
from pytest_repro.engine.diagnose import ExperimentBudget, ExperimentFailed, OutOfTime
from pytest_repro.engine.diagnose.chance import (
    compute_required_runs,
    list_digests,
    repeat_until_known,
    run_until_certain,
)
from pytest_repro.engine.diagnose.findings import (
    build_finding,
    build_unknown_finding,
    describe_no_suspect,
    describe_suspension,
    describe_unseen_state,
    get_cause_name,
    rank_suspects,
)
from pytest_repro.engine.diagnose.in_process import SuspectSearch
from pytest_repro.engine.diagnose.minimize import (
    SHARED_STATE,
    minimize,
    minimize_calls,
    minimize_changes,
    put_earliest_first,
)
from pytest_repro.engine.diagnose.repeat_runs import RepeatRuns
from pytest_repro.engine.diagnose.seen import add_seen_calls

ADDRESS_ORDER = "address-order"
ADDRESS_LAYOUT = "address-order:laid out"
"""The suspect for orders by address, which cannot be suspended: it changes the memory layout instead."""

IMPORT = "import"

_LAYOUT_NOTE = "runs with the same addresses were equal, a run with another memory layout differed"


class RepeatDiagnosis(RepeatRuns):
    """Why equal runs differ, all with the same setting."""

    def __init__(self, budget: ExperimentBudget, setting: Mapping[str, object]) -> None:
        super().__init__(budget, setting)
        self._no_cause_reason = ""
        self._results: list[ExperimentResult] = []  # of runs without suspension
        self._outcomes: frozenset[str] = frozenset()
        self._evidence = Evidence()
        unsuspendable = () if budget.fresh_processes else (SHARED_STATE, ADDRESS_ORDER)
        self._not_suspended = dict.fromkeys(unsuspendable, "no fresh process is available")

    def diagnose(self) -> Finding:
        try:
            finding = self._locate(self._find_cause())
        except ExperimentFailed as error:
            finding = self._conclude_unknown(f"the cause could not be established: {error}")
        return self._add_ruled_out(finding)

    def _add_ruled_out(self, finding: Finding) -> Finding:
        suspected = {finding.name, *self._not_suspended}
        calls = self._evidence.calls
        suspected |= {name for name in list_cause_names() if get_cause(name).find_not_suspendable(calls)}
        if all(call.via for call in self._evidence.calls_for(IMPORT)):
            suspected.add(IMPORT)  # what a library imports when it is used, nobody suspects
        return replace(finding, ruled_out=tuple(name for name in self._ruled_out if name not in suspected))

    def _conclude_unknown(self, reason: str) -> Finding:
        tried: dict[str, list[str]] = {}
        for name in self._ruled_out:
            tried.setdefault(self._not_suspended.get(name, ""), []).append(name)
        texts = [f"{', '.join(names)} ({why})" for why, names in tried.items() if why]
        note = f"; could not be suspended: {'; '.join(texts)}" if texts else ""
        finding = build_unknown_finding(reason + note, replace(self._evidence, divergence=None))
        return add_seen_calls(finding, self._evidence, set(self._ruled_out) - self._not_suspended.keys())

    def _find_cause(self) -> Finding:
        return self._find_cause_here() or self._find_cause_in_forks()

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
        digests = repeat_until_known(self._results, self._run_more)
        self._outcomes = frozenset(outcome for result in self._results for outcome in result.outcomes)
        differing = sum(digest != digests[0] for digest in digests)
        if not differing:
            process = "a fresh process" if self._budget.fresh_processes else "this process"
            reason = f"{len(digests)} more runs in {process} did not differ: {explain_rarity()}"
            return self._conclude_unknown(reason)
        runs_needed = compute_required_runs(digests)
        traced = first if first.differing else self._trace_again(runs_needed)
        self.divergence = traced.divergence
        self._evidence = Evidence(first.calls, self.divergence, first.changes, differing, len(digests) - 1)
        self._runs_needed = self._budget.limit_runs(runs_needed)
        if self._runs_needed < runs_needed:
            needs = f"to distinguish a suspect from chance takes {runs_needed} runs each"
            limit = f"the time limit (repro_diagnose_seconds) allows {self._runs_needed}"
            return self._conclude_unknown(f"{self._evidence.frequency}: {needs}, and {limit}")
        if finding := self._find_single_cause() or self._find_several_causes():
            return finding
        return self._conclude_unknown(self._no_cause_reason or describe_no_suspect(self._evidence))

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

    def _depends_on_layout(self, suspect: str) -> bool:
        """Whether, without *suspect*, a run with another memory layout differs: an import changes it too."""
        if not self._budget.fresh_processes:
            return False
        purpose = "each run in a fresh process, the second with another memory layout"
        return not self._run(3, purpose, (suspect,), fresh_forks=True, shift_heap=True).equal

    def _is_equal_without(self, suspects: Sequence[str]) -> bool:
        purpose = ", ".join(map(describe_suspension, suspects))
        return self._is_equal(
            run_until_certain(
                lambda runs: self._run(runs, purpose, suspects, until_differing=True),
                list_digests(self._results),
            )
        )

    def _is_equal(self, result: ExperimentResult) -> bool:
        """Whether the runs are equal and end as without suspension: runs that all fail prove nothing."""
        self._not_suspended.update(result.not_suspendable)
        return result.equal and self._outcomes.issuperset(result.outcomes)

    def _try_fresh_processes(self, suspended: Sequence[str] = ()) -> str:
        """The suspect that explains why runs in fresh processes are equal; ``""`` if they are not."""
        if not self._budget.fresh_processes:
            return ""
        purpose = "each run in a fresh process"
        free, known = self._split_first_runs() if not suspended else (list_digests(self._results), [])
        if len(set(known)) > 1:
            return ""
        fresh = run_until_certain(
            lambda runs: self._run(runs, purpose, suspended, fresh_forks=True), free, known
        )
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

    def _split_first_runs(self) -> tuple[list[str], list[str]]:
        """Digests of the later runs in their process, and of the first ones, which met a fresh process."""
        results = self._results
        if len({result.digests[0] for result in results}) > 1:
            results = results[1:]  # recording ops made a difference
        later = [digest for result in results for digest in result.digests[1:]]
        return later, [result.digests[0] for result in results]

    def _find_several_causes(self) -> Finding | None:
        """The fewest suspects without which, taken together, runs are equal."""
        suspects = [suspect for suspect in rank_suspects(self._evidence) if suspect != SHARED_STATE]
        if self._is_equal_without(suspects):
            return self._conclude(minimize(suspects, self._is_equal_without))
        if not self._try_fresh_processes(suspects):
            return None
        suspects = minimize(suspects, lambda rest: self._try_fresh_processes(rest) != "")
        fresh = self._try_fresh_processes(suspects)
        return self._conclude([fresh, *suspects]) if fresh else None

    def _conclude(self, suspects: list[str]) -> Finding | None:
        """The finding that *suspects* make the difference, reduced to the calls and changes that do."""
        suspended = [suspect for suspect in suspects if suspect not in (SHARED_STATE, ADDRESS_LAYOUT)]
        experiment, evidence = self._plan(self._runs_needed, suspended), self._evidence
        if SHARED_STATE in suspects and evidence.changes:
            minimized = minimize_changes(evidence, experiment, self._budget.run_experiment)
            if minimized is None and not evidence.calls_for(SHARED_STATE):
                self._no_cause_reason = describe_unseen_state(evidence.changes)
                return None
            evidence = minimized or replace(evidence, changes=())
        experiment = experiment._replace(fresh_forks=len(suspended) < len(suspects))
        evidence = minimize_calls(evidence, suspended, experiment, self._budget.run_experiment)
        if len(suspects) > 1:
            suspects = put_earliest_first(suspects, self.divergence, self._find_divergence)
            names = set(map(get_cause_name, suspects))
            self._ruled_out = [name for name in self._ruled_out if name not in names]
        reported = [ADDRESS_ORDER if suspect == ADDRESS_LAYOUT else suspect for suspect in suspects]
        return build_finding(reported, evidence, _LAYOUT_NOTE if ADDRESS_LAYOUT in suspects else "")
