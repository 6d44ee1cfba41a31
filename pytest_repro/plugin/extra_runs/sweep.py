"""``seeds=``: one run of a test for each seed; the reference run stands for its own seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import SUBTEST_ERROR, Run
from pytest_repro.engine.sweep.sweep import SweepResult, summarize_sweep
from pytest_repro.plugin.extra_runs import ExtraRun

if TYPE_CHECKING:
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.extra_runs._runner import ExtraRunner
    from pytest_repro.plugin.run.item_runner import ItemRunner


class SeedSweep(ExtraRun):
    """Runs a test with each seed of its sweep."""

    order = 30
    purpose = "a seed sweep (--repro-seeds=0 leaves it out)"
    note_key, label = "sweep_note", "sweep"

    def get_request(self, plan: Plan, settings: Settings) -> str:
        return "seed sweep" if plan.seeds else ""

    def make(self, runner: ExtraRunner) -> SweepResult:
        plan, summaries = runner.plan, []
        seeds = plan.seeds or ()
        for number, seed in enumerate(seeds, 1):
            if runner.should_stop:
                break
            summary = runner.summarize_reference() if seed == plan.seed else None
            progress = f"seed {seed}, {number} of {len(seeds)}"
            summaries.append(summary or runner.run_and_summarize(progress, seed, plan.deterministic))
        return summarize_sweep(seeds, summaries, runner.budgets)

    def judge(self, runner: ItemRunner, run: Run, result: SweepResult) -> BaseException | None:
        if not (run.outcome == "passed" or run.error_type == SUBTEST_ERROR):
            return None
        from pytest_repro.plugin.extra_runs._sweep_failure import find_sweep_failure

        return find_sweep_failure(runner, result)

    def make_row(self, runner: ItemRunner, result: SweepResult) -> Mapping[str, Any]:
        from pytest_repro.reports.session.sweep import sweep_to_row

        return sweep_to_row(result)


extra_run = SeedSweep()
