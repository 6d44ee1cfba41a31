"""``--repro-noise``: which noise a test has, and what removing it costs."""

from __future__ import annotations

from pytest_repro.core.plan.plan import MAX_SEED, Deterministic, Plan
from pytest_repro.core.runs.run_summary import Gathered
from pytest_repro.engine.sweep.noise import VARIANTS, Noise, Variant, noise
from pytest_repro.plugin.extra_runs.extra_runs import Stage
from pytest_repro.plugin.run.item_runner import Act
from pytest_repro.plugin.run.warnings import warn_at
from pytest_repro.reports.session.noise import constant


def noises(stage: Stage, runs: int) -> dict[str, Noise]:
    """Runs a test *runs* times in each variant, in turn; the free seeds are equal for both that have them.

    In turn, so that a machine that slows down slows all of them.
    """
    plan = stage.act.plan
    found: dict[str, list[Gathered]] = {each.name: [] for each in VARIANTS}
    for number in range(runs):
        for variant in VARIANTS:
            if stage.stops:
                break
            doing = f"noise {variant.name}, {number + 1} of {runs}"
            seed = (plan.seed + number * variant.free) % (MAX_SEED + 1)
            found[variant.name].append(stage.shown(doing, seed, _mode(plan, variant), True))
    return {name: noise(each) for name, each in found.items()}


def _mode(plan: Plan, variant: Variant) -> Deterministic:
    # A test that asks for no deterministic algorithms may have an op without one.
    return (plan.deterministic or "warn") if variant.on else False


def warn_of_constant(act: Act) -> None:
    """Warns of predictions that are the same for every item.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    for told in constant(act.beside.noise):
        from pytest_repro.metrics.predictions import ConstantModelWarning

        warn_at(act.item, ConstantModelWarning, told)
