"""The experiments of a diagnosis of equal runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_repro.causes import get_cause
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, Finding
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.chance import (
    compute_matching_runs,
    is_certain,
    list_digests,
    run_until_certain,
)
from pytest_repro.engine.diagnose.findings import (
    ADDRESS_LAYOUT,
    UNKNOWN,
    describe_suspension,
    describe_unseen_state,
    get_cause_name,
    locate,
    name_compiled_module,
)
from pytest_repro.engine.diagnose.minimize import SHARED_STATE

ADDRESS_ORDER = "address-order"

_MAX_TRACED_RUNS = 512
"""Runs in which ops are recorded until they differ."""


class RepeatRuns:
    """Makes runs that should be equal, all with *setting*, which is axis → value.

    Attributes:
        divergence: The first op that diverged.
    """

    divergence: Divergence | None = None

    def __init__(self, budget: ExperimentBudget, setting: Mapping[str, object]) -> None:
        self._budget, self._setting, self._runs_needed = budget, setting, 2
        self._ruled_out: list[str] = []
        self._ineffective_suspensions: list[str] = []
        self._lines = ExperimentResult(0)
        self._no_cause_reason = ""
        self._results: list[ExperimentResult] = []  # of runs without suspension
        self._outcomes: frozenset[str] = frozenset()
        self._evidence, self._traced = Evidence(), ExperimentResult(0)
        unsuspendable = () if budget.fresh_processes else (SHARED_STATE, ADDRESS_ORDER)
        self._not_suspended = dict.fromkeys(unsuspendable, "no fresh process is available")

    def _run(
        self, runs: int, purpose: str, suspended: Sequence[str] = (), **options: Any
    ) -> ExperimentResult:
        return self._budget.run_experiment(self._plan(runs, suspended, **options), purpose)

    def _plan(self, runs: int, suspended: Sequence[str] = (), **flags: Any) -> Experiment:
        cells = tuple(Cell(REPEAT, number, self._setting) for number in range(runs))
        return Experiment(cells, tuple(suspended), **flags)

    def _locate(self, finding: Finding, divergence: Divergence | None) -> Finding:
        """*finding* with the line at which runs first diverge, if no op and no call shows it."""
        by_line = get_cause(finding.name).located_by_line or not finding.location  # no call was logged
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

    def _trace_again(self, runs_needed: int) -> ExperimentResult:
        count = self._budget.limit_runs(min(runs_needed, _MAX_TRACED_RUNS))
        result = self._run(count, "run again, recording ops, until it differs", trace_ops=True)
        return result if result.differing else replace(result, traces=())

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
        if known:
            runs = max(2, compute_matching_runs(free, known[0]) + 1 - len(known))
            fresh = self._run(runs, purpose, fresh_forks=True)
        if not known or not (fresh.digests[0] == known[0] or is_certain(free, fresh)):
            fresh = run_until_certain(
                lambda runs: self._run(runs, purpose, suspended, fresh_forks=True), free
            )
        if not self._is_equal(fresh):
            return ""
        # One shifted run is enough: a rare difference would have occurred in the fresh runs. All are forks of
        # one moment, since addresses may change between experiments. A thread may still change some.
        purpose += ", every second with another memory layout"
        seen = self._evidence.changes or self._evidence.calls_for(SHARED_STATE)
        for runs in (3, 5):
            shifted = self._run(runs, purpose, suspended, fresh_forks=True, shift_heap=True)
            if shifted.differing == tuple(range(1, runs, 2)):
                return ADDRESS_LAYOUT
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
