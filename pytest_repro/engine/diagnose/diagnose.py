"""Looks for the cause of a mismatch: makes it happen again, then suspends one suspect at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pytest_repro.causes import get_cause
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose.axis_difference import diagnose_axis
from pytest_repro.engine.diagnose.budgeted_experiments import (
    ExperimentBudget,
    ExperimentFailed,
    ExperimentTarget,
    OutOfTime,
    ProgressCallback,
    compute_required_runs,
)
from pytest_repro.engine.diagnose.locate import is_before_ops, locate_by_line, locate_by_op
from pytest_repro.engine.diagnose.minimize import (
    SHARED_STATE,
    minimize,
    minimize_calls,
    minimize_changes,
    put_earliest_first,
)
from pytest_repro.engine.diagnose.no_cause_found import (
    LAYOUT_MATTERS,
    NO_FRESH_PROCESS,
    append_not_suspended_note,
    describe_no_recurrence,
    describe_no_suspect,
    describe_too_rare,
    describe_unseen_state,
    find_not_suspendable,
)
from pytest_repro.engine.diagnose.repeat_until_differs import repeat_until_differs
from pytest_repro.engine.diagnose.suspects import (
    build_finding,
    build_unknown_finding,
    describe_suspension,
    get_cause_name,
    rank_suspects,
)

ADDRESS_ORDER = "address-order"
ADDRESS_LAYOUT = "address-order:laid out"
"""The way in which orders by address are found that cannot be held: memory is laid out in another way."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an inquiry has found."""

    divergence: Divergence | None
    cause: Finding


def diagnose_verdict(
    target: ExperimentTarget, verdict: Verdict, seconds: float, show_progress: ProgressCallback
) -> Diagnosis:
    """The first op that parted, and the cause, of a verdict that is ``diverged``.

    Args:
        target: What the verdict is about.
        verdict: Is not changed.
        seconds: The time for it.
        show_progress: Shows what is being done.
    """
    try:
        return _diagnose(target, verdict, seconds, show_progress)
    except Exception as error:  # ours: it must not hide what the test has shown
        return Diagnosis(
            None, build_unknown_finding(f"the inquiry itself broke: {type(error).__name__}: {error}")
        )


def _diagnose(
    target: ExperimentTarget, verdict: Verdict, seconds: float, show_progress: ProgressCallback
) -> Diagnosis:
    bench = ExperimentBudget(target, seconds, max(run.seconds for run in verdict.runs), show_progress)
    first = _pick_mismatch(verdict)
    if first.axis != REPEAT:
        return Diagnosis(*diagnose_axis(bench, first.axis, first.value, verdict.runs[0].setting))
    setting = next(
        r.setting
        for r in verdict.runs
        if (r.axis, r.value, r.repeat_of) == (first.axis, first.value, first.repeat_of)
    )
    inquiry = RepeatDiagnosis(bench, setting)
    return inquiry.diagnose()


def _pick_mismatch(verdict: Verdict) -> Mismatch:
    """The mismatch to explain: what does not repeat itself comes before what differs between values."""
    found = verdict.mismatches
    return next((each for each in found if each.axis == REPEAT), found[0])


class RepeatDiagnosis:
    """Why equal runs of one process differ.

    Args:
        budget: Makes the experiments.
        setting: Axis → value, of each run.
    """

    def __init__(self, budget: ExperimentBudget, setting: Mapping[str, object]) -> None:
        self._budget, self._setting = budget, setting
        self._ruled_out: list[str] = []
        self._ineffective_suspensions: list[str] = []
        self._runs_needed = 2
        self._divergence: Divergence | None = None
        self._outcomes: frozenset[str] = frozenset()
        self._no_cause_reason = ""
        self._evidence = Evidence()
        self._not_suspended: dict[str, str] = (
            {} if budget.fresh_processes else dict.fromkeys((SHARED_STATE, ADDRESS_ORDER), NO_FRESH_PROCESS)
        )

    def diagnose(self) -> Diagnosis:
        """What made them differ."""
        try:
            finding = self._locate(self._find_cause())
        except ExperimentFailed as why:
            finding = self._conclude_unknown(f"it could not be established: {why}")
        loose = {finding.name, *find_not_suspendable(self._evidence, self._not_suspended)}
        innocent = tuple(name for name in self._ruled_out if name not in loose)
        return Diagnosis(self._divergence, replace(finding, ruled_out=innocent))

    def _conclude_unknown(self, reason: str) -> Finding:
        tried = {name: said for name, said in self._not_suspended.items() if name in self._ruled_out}
        return build_unknown_finding(
            append_not_suspended_note(reason, tried), replace(self._evidence, divergence=None)
        )

    def _make_cells(self, count: int) -> tuple[Cell, ...]:
        return tuple(Cell(REPEAT, number, self._setting) for number in range(count))

    def _find_cause(self) -> Finding:
        first = self._budget.run_experiment(
            Experiment(self._make_cells(2), trace_ops=True, log_calls=True, diff_state=True),
            "run again, its ops recorded",
        )
        differing, runs, wanted, self._outcomes = repeat_until_differs(first, self._run_more)
        if not differing:
            return build_unknown_finding(describe_no_recurrence(runs, self._budget.fresh_processes))
        traced = first if first.differing else self._trace_again(differing, runs)
        self._divergence = traced.divergence
        self._evidence = Evidence(first.calls, self._divergence, first.changes, differing, runs)
        self._runs_needed = self._budget.limit_runs(wanted)
        if self._runs_needed < wanted:
            return build_unknown_finding(describe_too_rare(self._evidence, wanted, self._runs_needed))
        found = self._find_single_cause() or self._find_several_causes()
        return found or self._conclude_unknown(self._no_cause_reason or describe_no_suspect(self._evidence))

    def _locate(self, finding: Finding) -> Finding:
        """*finding* with the line at which the runs first parted, where no op and no call tells it."""
        if get_cause(finding.name).located_by_line and is_before_ops(self._divergence):
            with suppress(ExperimentFailed):
                # What is held because it was not it does not draw the eye to its own lines.
                held = tuple(
                    way for way in self._ineffective_suspensions if get_cause_name(way) in self._ruled_out
                )
                asked = Experiment(self._make_cells(self._runs_needed), held, trace_lines=True)
                finding = locate_by_line(
                    finding, self._budget.run_experiment(asked, "run again, line by line").steps
                )
        return locate_by_op(finding, self._divergence)

    def _run_more(self, count: int) -> ExperimentResult:
        asked = Experiment(self._make_cells(self._budget.limit_runs(count)))
        return self._budget.run_experiment(asked, "run again, to see how often it differs")

    def _trace_again(self, differing: int, runs: int) -> ExperimentResult:
        """The traces of two runs that differ, where that is rare."""
        number = self._budget.limit_runs(2 * compute_required_runs(differing, runs))
        asked = Experiment(self._make_cells(number), trace_ops=True)
        tried = self._budget.run_experiment(asked, "run again, its ops recorded, until it differs")
        return tried if tried.differing else replace(tried, traces=())

    def _find_single_cause(self) -> Finding | None:
        """The one suspect without which the runs are equal."""
        for way in rank_suspects(self._evidence):
            try:
                finding = self._try_without(way)
            except OutOfTime:
                raise
            except ExperimentFailed:  # held, it makes the test hang or die: that says nothing of the others
                continue
            if finding is not None:
                return finding
            name = get_cause_name(way)
            self._ineffective_suspensions += [way] * (way != SHARED_STATE)
            if name not in self._ruled_out and not (way == SHARED_STATE and self._no_cause_reason):
                self._ruled_out.append(name)
        return None

    def _try_without(self, suspension: str) -> Finding | None:
        if suspension == SHARED_STATE:
            found = self._try_fresh_processes()
            return self._conclude([found]) if found else None
        return self._conclude([suspension]) if self._is_equal_without((suspension,)) else None

    def _is_equal_without(self, suspensions: Sequence[str]) -> bool:
        doing = ", ".join(describe_suspension(way) for way in suspensions)
        return self._is_equal(
            self._budget.run_experiment(
                Experiment(self._make_cells(self._runs_needed), tuple(suspensions)), doing
            )
        )

    def _is_equal(self, result: ExperimentResult) -> bool:
        """Whether runs are equal, and do what they do by themselves.

        Where what is held makes all of them fail, they are equal and say nothing.
        """
        self._not_suspended.update(result.not_suspendable)
        return result.equal and self._outcomes.issuperset(result.outcomes)

    def _try_fresh_processes(self, suspensions: Sequence[str] = ()) -> str:
        """What it is that runs do not meet that each begin in a process that has not computed yet."""
        if not self._budget.fresh_processes:
            return ""
        asked = Experiment(self._make_cells(self._runs_needed), tuple(suspensions), fresh_forks=True)
        apart = self._budget.run_experiment(asked, "each run in a fresh process")
        if not self._is_equal(apart):
            return ""
        # A rare difference would have shown among the runs apart: one stirred run is enough.
        # All three are forks of one moment: between experiments addresses may change.
        asked = asked._replace(cells=self._make_cells(3), shift_heap=True)
        laid = self._budget.run_experiment(
            asked, "each in a fresh process, memory of the second laid out in another way"
        )
        if laid.differing == (1,):
            return ADDRESS_LAYOUT
        seen = self._evidence.changes or self._evidence.calls_for(SHARED_STATE)
        if seen and laid.equal and laid.reference_digest == apart.reference_digest:
            return SHARED_STATE
        self._no_cause_reason = describe_unseen_state()
        return ""

    def _find_several_causes(self) -> Finding | None:
        """The suspects without which, taken together, the runs are equal; as few as suffice."""
        ways = [way for way in rank_suspects(self._evidence) if way != SHARED_STATE]
        if self._is_equal_without(ways):
            return self._conclude(minimize(ways, self._is_equal_without))
        if not self._try_fresh_processes(ways):
            return None
        ways = minimize(ways, lambda rest: self._try_fresh_processes(rest) != "")
        found = self._try_fresh_processes(ways)
        return self._conclude([found, *ways]) if found else None

    def _conclude(self, suspensions: list[str]) -> Finding | None:
        """The finding that *suspensions* made the difference, by those of their calls and changes that did."""
        held = tuple(way for way in suspensions if way not in (SHARED_STATE, ADDRESS_LAYOUT))
        asked = Experiment(self._make_cells(self._runs_needed), held)
        found = self._evidence
        if SHARED_STATE in suspensions and found.changes:
            told = minimize_changes(found, asked, self._budget.run_experiment)
            if told is None and not found.calls_for(SHARED_STATE):
                self._no_cause_reason = describe_unseen_state(found.changes)
                return None
            found = told or replace(found, changes=())
        apart = asked._replace(fresh_forks=len(held) < len(suspensions))
        found = minimize_calls(found, held, apart, self._budget.run_experiment)
        if len(suspensions) > 1:
            suspensions = put_earliest_first(suspensions, self._divergence, self._find_divergence)
            self._ruled_out = [
                name for name in self._ruled_out if name not in map(get_cause_name, suspensions)
            ]
        return build_finding(
            [ADDRESS_ORDER if way == ADDRESS_LAYOUT else way for way in suspensions],
            found,
            LAYOUT_MATTERS * (ADDRESS_LAYOUT in suspensions),
        )

    def _find_divergence(self, suspensions: Sequence[str]) -> Divergence | None:
        """Where runs first part that differ although *suspensions* are held."""
        asked = Experiment(self._make_cells(self._runs_needed), tuple(suspensions), trace_ops=True)
        return self._budget.run_experiment(asked, "its ops recorded, all but one held").divergence
