"""``--repro-noise``: which noise a test has, and what removing it costs."""

from __future__ import annotations

from pytest_repro.core.plan.plan import MAX_SEED, Deterministic, Plan
from pytest_repro.core.runs.run_summary import RunSummary
from pytest_repro.engine.sweep.noise import VARIANTS, Noise, Variant, summarize_noise
from pytest_repro.plugin.extra_runs.extra_runs import ExtraRunner
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.warnings import warn_at_item
from pytest_repro.reports.session.noise import format_constant_predictions


def run_noise_matrix(extra_runner: ExtraRunner, runs: int) -> dict[str, Noise]:
    """Runs a test *runs* times in each variant, in turn; the free seeds are equal for both that have them.

    In turn, so that a machine that slows down slows all of them.
    """
    plan = extra_runner.runner.plan
    found: dict[str, list[RunSummary]] = {each.name: [] for each in VARIANTS}
    for number in range(runs):
        for variant in VARIANTS:
            if extra_runner.should_stop:
                break
            doing = f"noise {variant.name}, {number + 1} of {runs}"
            seed = (plan.seed + number * variant.free_seeds) % (MAX_SEED + 1)
            found[variant.name].append(
                extra_runner.run_and_summarize(doing, seed, _choose_mode(plan, variant), True)
            )
    return {name: summarize_noise(each) for name, each in found.items()}


def _choose_mode(plan: Plan, variant: Variant) -> Deterministic:
    # A test that asks for no deterministic algorithms may have an op without one.
    return (plan.deterministic or "warn") if variant.deterministic else False


def warn_of_constant_predictions(runner: ItemRunner) -> None:
    """Warns of predictions that are the same for every item.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    for told in format_constant_predictions(runner.extra_results.noise):
        from pytest_repro.metrics.predictions import ConstantModelWarning

        warn_at_item(runner.item, ConstantModelWarning, told)
