"""``--repro-noise``: which noise a test has, and what removing it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_repro.core.plan.arguments import MAX_SEED
from pytest_repro.core.plan.plan import Deterministic, Plan
from pytest_repro.core.runs.run import Run, RunSummary
from pytest_repro.engine.sweep.noise import VARIANTS, Noise, Variant, summarize_noise
from pytest_repro.plugin.extra_runs import ExtraRun
from pytest_repro.plugin.run.warnings import warn_at_item

if TYPE_CHECKING:
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.extra_runs._runner import ExtraRunner
    from pytest_repro.plugin.run.item_runner import ItemRunner

NoiseMatrix = Mapping[str, Noise]


class NoiseRuns(ExtraRun):
    """Runs a test several times in each variant of the noise matrix.

    In turn, so that a machine that slows down slows all of them. The free seeds are the same for both
    variants that have them.
    """

    order = 40
    purpose, needs_passing_test = "--repro-noise", True
    note_key, label = "noise_note", "noise"

    def get_request(self, plan: Plan, settings: Settings) -> str:
        return "--repro-noise" if settings.noise else ""

    def make(self, runner: ExtraRunner) -> NoiseMatrix:
        plan, count = runner.plan, runner.settings.noise
        summaries: dict[str, list[RunSummary]] = {variant.name: [] for variant in VARIANTS}
        for number in range(count):
            for variant in VARIANTS:
                if runner.should_stop:
                    break
                seed = (plan.seed + number * variant.free_seeds) % (MAX_SEED + 1)
                progress, mode = f"noise {variant.name}, {number + 1} of {count}", _choose_mode(plan, variant)
                summaries[variant.name].append(
                    runner.run_and_summarize(progress, seed, mode, with_weights=True)
                )
        return {name: summarize_noise(runs) for name, runs in summaries.items()}

    def judge(self, runner: ItemRunner, run: Run, result: NoiseMatrix) -> BaseException | None:
        """Warns of predictions that are the same for every item.

        Raises:
            pytest.fail.Exception: Such warnings are errors.
        """
        from pytest_repro.metrics.predictions import ConstantModelWarning
        from pytest_repro.reports.session.noise import format_constant_predictions

        for text in format_constant_predictions(result):
            warn_at_item(runner.item, ConstantModelWarning, text)
        return None

    def make_row(self, runner: ItemRunner, result: NoiseMatrix) -> Mapping[str, Any]:
        from pytest_repro.reports.session.noise import noise_to_row

        return noise_to_row(result)


def _choose_mode(plan: Plan, variant: Variant) -> Deterministic:
    # A test that asks for no deterministic algorithms may have an op without one.
    return (plan.deterministic or "warn") if variant.deterministic else False


extra_run = NoiseRuns()
