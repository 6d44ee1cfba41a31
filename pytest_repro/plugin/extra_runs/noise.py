"""``--repro-noise``: which noise a test has, and what removing it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_repro.core.plan.arguments import MAX_SEED
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run, RunSummary
from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.plugin.extra_runs import ExtraRun
from pytest_repro.plugin.run.warnings import warn_at_item

if TYPE_CHECKING:
    from pytest_repro.engine.sweep.noise import Noise
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.extra_runs._runner import ExtraRunner
    from pytest_repro.plugin.run.item_runner import ItemRunner

NoiseMatrix = Mapping[str, "Noise"]

_MAX_HEADLINES = 3
"""Headline values with a column; the JSON report has all."""


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
        from pytest_repro.engine.sweep.noise import VARIANTS, summarize_noise

        plan, count = runner.plan, runner.settings.noise
        # A test that asks for no deterministic algorithms may have an op without one.
        deterministic = plan.deterministic or "warn"
        summaries: dict[str, list[RunSummary]] = {variant.name: [] for variant in VARIANTS}
        for number in range(count):
            for variant in VARIANTS:
                if runner.should_stop:
                    break
                seed = (plan.seed + number * variant.free_seeds) % (MAX_SEED + 1)
                mode = deterministic if variant.deterministic else False
                progress = f"noise {variant.name}, {number + 1} of {count}"
                summary = runner.run_and_summarize(progress, seed, mode, with_weights=True)
                summaries[variant.name].append(summary)
        return {name: summarize_noise(runs) for name, runs in summaries.items()}

    def judge(self, runner: ItemRunner, run: Run, result: NoiseMatrix) -> BaseException | None:
        """Warns of predictions that are the same for every item.

        Raises:
            pytest.fail.Exception: Such warnings are errors.
        """
        from pytest_repro.metrics.predictions import ConstantModelWarning

        for text in format_constant_predictions(result):
            warn_at_item(runner.item, ConstantModelWarning, text)
        return None

    def make_row(self, runner: ItemRunner, result: NoiseMatrix) -> Mapping[str, Any]:
        return {
            "noise": {name: _variant_to_row(noise) for name, noise in result.items()},
            "noise_note": ["", *_format_table(result)],
        }


def _format_table(matrix: NoiseMatrix) -> Iterator[str]:
    """A line for each variant, and one for each with runs that did not pass."""
    from pytest_repro.engine.sweep.noise import VARIANTS, list_headline_names

    names = list_headline_names(matrix)
    shown, more = names[:_MAX_HEADLINES], names[_MAX_HEADLINES:]
    rows = [
        ["", "seeds", "algorithms", "distinct", "churn", *(f"std {name}" for name in shown), "L2n", "time"]
    ]
    for name, free_seeds, deterministic in VARIANTS:
        modes = ["free" if free_seeds else "fixed", "deterministic" if deterministic else "any"]
        rows.append([name, *modes, *_format_cells(matrix[name], shown)])
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for name, noise in matrix.items():
        if noise.failures:
            seeds = format_seeds(dict.fromkeys(seed for _, seed, _ in noise.failures))
            yield f"{name}: {len(noise.failures)} left out ({seeds}): {noise.failures[0][2]}"
    if more:
        yield f"std of {len(more)} more in the JSON report: {format_list(more)}"
    yield from format_constant_predictions(matrix)


def _format_cells(noise: Noise, names: Sequence[str]) -> Iterator[str]:
    yield f"{noise.distinct_results} of {noise.runs}"
    yield "-" if noise.churn is None else format_percent(noise.churn)
    for value in (*map(noise.std.get, names), noise.l2_normalised):
        yield "-" if value is None else f"{value:.3g}"
    yield "-" if noise.seconds is None else f"{noise.seconds:.3g} s"


def format_constant_predictions(matrix: NoiseMatrix) -> Iterator[str]:
    """A line for each prediction that is the same for every item in some run."""
    from pytest_repro.reports.sweep import describe_constant

    variants: dict[str, list[str]] = {}
    for variant, noise in matrix.items():
        for name in noise.constant_predictions:
            variants.setdefault(name, []).append(variant)
    return (describe_constant(name, format_list(found)) for name, found in variants.items())


def _variant_to_row(noise: Noise) -> dict[str, Any]:
    row = {
        "runs": noise.runs,
        "distinct": noise.distinct_results,
        "churn": noise.churn,
        "std": dict(noise.std) or None,
        "l2_normalised": noise.l2_normalised,
        "seconds": noise.seconds,
        "failed": [dict(zip(("run", "seed", "error"), failure)) for failure in noise.failures] or None,
        "constant": list(noise.constant_predictions) or None,
    }
    return {key: value for key, value in row.items() if value is not None}


extra_run = NoiseRuns()
