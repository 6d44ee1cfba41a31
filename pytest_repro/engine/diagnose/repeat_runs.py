"""The experiments of a diagnosis of equal runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_repro.causes import get_cause
from pytest_repro.core.diagnose import Experiment, ExperimentResult, Finding
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.findings import get_cause_name, locate

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

    def _run(
        self, runs: int, purpose: str, suspended: Sequence[str] = (), **options: Any
    ) -> ExperimentResult:
        return self._budget.run_experiment(self._plan(runs, suspended, **options), purpose)

    def _plan(self, runs: int, suspended: Sequence[str] = (), **flags: Any) -> Experiment:
        cells = tuple(Cell(REPEAT, number, self._setting) for number in range(runs))
        return Experiment(cells, tuple(suspended), **flags)

    def _locate(self, finding: Finding) -> Finding:
        """*finding* with the line at which runs first diverge, if no op and no call shows it."""
        by_line = get_cause(finding.name).located_by_line
        return locate(finding, self.divergence, self._trace_lines if by_line else None)

    def _trace_lines(self) -> Sequence[Sequence[LineStep]]:
        # Suspends what was ruled out, so that its lines are not taken for the first.
        suspended = [s for s in self._ineffective_suspensions if get_cause_name(s) in self._ruled_out]
        return self._run(self._runs_needed, "run again, tracing lines", suspended, trace_lines=True).steps

    def _run_more(self, count: int) -> ExperimentResult:
        return self._run(self._budget.limit_runs(count), "run again, to see how often it differs")

    def _trace_again(self, runs_needed: int) -> ExperimentResult:
        count = self._budget.limit_runs(min(runs_needed, _MAX_TRACED_RUNS))
        result = self._run(count, "run again, recording ops, until it differs", trace_ops=True)
        return result if result.differing else replace(result, traces=())

    def _find_divergence(self, suspended: Sequence[str]) -> Divergence | None:
        """Where runs that differ although *suspended* cannot act first diverge."""
        purpose = "recording ops, all but one suspended"
        return self._run(self._runs_needed, purpose, suspended, trace_ops=True).divergence
