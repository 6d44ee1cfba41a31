"""``seeds=``: one run of a test for each seed; the reference run stands for its own seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import SUBTEST_ERROR, Run
from pytest_repro.plugin.exceptions import SeedDependent
from pytest_repro.plugin.extra_runs import ExtraRun
from pytest_repro.plugin.replay_line import format_nodeid, format_options
from pytest_repro.plugin.run.warnings import warn_at_item

if TYPE_CHECKING:
    from pytest_repro.engine.sweep.sweep import SweepResult
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
        from pytest_repro.engine.sweep.sweep import summarize_sweep

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
        """The failure of a passing test by its sweep, or None; warns of constant predictions.

        Raises:
            pytest.fail.Exception: Such warnings are errors.
        """
        if not (run.outcome == "passed" or run.error_type == SUBTEST_ERROR):
            return None
        from pytest_repro.reports.sweep import format_constant_predictions

        for line in format_constant_predictions(result):
            from pytest_repro.metrics.predictions import ConstantModelWarning

            warn_at_item(runner.item, ConstantModelWarning, line)
        return _make_failure(runner, result, result.xfail_reason) if result.failed else None

    def make_row(self, runner: ItemRunner, result: SweepResult) -> Mapping[str, Any]:
        from pytest_repro.reports.sweep import sweep_to_row

        verdict = runner.verdict
        return sweep_to_row(result, verdict.baseline if verdict and verdict.reproduced else None)


def find_hidden_sweep_failure(runner: ItemRunner, raised_in_body: bool) -> SeedDependent | None:
    """The failure by the sweep of a test whose own run is xfailed or skipped; None if there is none.

    That one run was set aside says nothing about the other seeds.

    Args:
        runner: Of the test.
        raised_in_body: Whether its body called :func:`pytest.xfail` or :func:`pytest.skip`; otherwise a
            marker expects the failure.
    """
    swept = runner.extra_results.sweep
    if swept is None:
        return None
    others = (each for each in swept.runs if each.seed != runner.plan.seed)
    failed = any(each.outcome == "failed" and each.xfail_reason is None for each in others)
    over = swept.exceeded_budgets and (raised_in_body or not _expects_any_failure(runner.item))
    return _make_failure(runner, swept, None, runner.plan.seed) if failed or over else None


def _expects_any_failure(item: pytest.Item) -> bool:
    """Whether a marker ``xfail`` expects any failure, an exceeded budget too."""
    return any(mark.kwargs.get("raises") is None for mark in item.iter_markers("xfail"))


def _make_failure(
    runner: ItemRunner, result: SweepResult, xfail_reason: str | None, expected_seed: int | None = None
) -> SeedDependent:
    from pytest_repro.reports.sweep import format_failure, format_headline

    options = format_options(runner.item) + " --repro-all" * runner.plan.audit
    text = format_failure(format_nodeid(runner.item), result, expected_seed, options)
    return SeedDependent(text, format_headline(result), xfail_reason)


extra_run = SeedSweep()
