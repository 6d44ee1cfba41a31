"""A test over seeds: how its headline values scatter, and how often it fails."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_repro.core.runs.run import RunSummary
from pytest_repro.metrics._arguments import format_seeds
from pytest_repro.metrics.failures import FailureRate, failure_rate
from pytest_repro.metrics.seeds import Budget, Sweep, budget, sweep

if TYPE_CHECKING:
    from pytest_repro.metrics.predictions import Stability

BudgetLimits = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A test over seeds.

    Attributes:
        requested_seeds: The requested seeds; fewer ran if the session ended early.
        runs: One for each seed that ran.
        failure_rate: Over the runs that passed or failed; None if there are none.
        headlines: Each number recorded under two seeds or more.
        budgets: Of the test, by headline; a text where there is nothing to judge.
        stability: How far predictions agree between seeds, by name.
        prediction_seeds: Seeds of the runs behind *stability*: those that passed, or failed at the end.
        uneven_sizes: Smallest and largest number of items of predictions whose size depends on the
            seed, by name.
        nonfinite_seeds: Numbers that are finite under fewer than two seeds: the seeds under which they
            are not, by name.
    """

    requested_seeds: tuple[int, ...]
    runs: tuple[RunSummary, ...]
    failure_rate: FailureRate | None
    headlines: Mapping[str, Sweep]
    budgets: Mapping[str, Budget | str]
    stability: Mapping[str, Stability]
    prediction_seeds: tuple[int, ...]
    uneven_sizes: Mapping[str, tuple[int, int]]
    nonfinite_seeds: Mapping[str, tuple[int, ...]]

    @property
    def failed(self) -> bool:
        """Whether the test fails with a seed, or exceeds a budget."""
        failed = self.failure_rate is not None and self.failure_rate.failed > 0
        return failed or bool(self.exceeded_budgets)

    @property
    def xfail_reason(self) -> str | None:
        """Why every failure was expected: the reason of the first seed; None if one was not."""
        failed = [each.xfail_reason for each in self.runs if each.outcome == "failed"]
        return None if self.exceeded_budgets or None in failed else next(iter(failed), None)

    @property
    def exceeded_budgets(self) -> list[str]:
        """Headlines whose budgets are exceeded."""
        return [n for n, each in self.budgets.items() if isinstance(each, str) or not each.within_budget]

    def get_seeds(self, run_indices: Sequence[int]) -> tuple[int, ...]:
        """Seeds of the runs with these numbers (from 0) among the runs with predictions."""
        return tuple(self.prediction_seeds[number] for number in run_indices)


def summarize_sweep(
    requested_seeds: Sequence[int], runs: Sequence[RunSummary], budgets: Mapping[str, BudgetLimits]
) -> SweepResult:
    """Summarizes *runs*, one for each seed; fewer if the session ended early, and then no budget is judged.

    Args:
        budgets: Rules by headline, as in :func:`pytest_repro.metrics.budget`.
    """
    ran = _drop_partial_series([each for each in runs if each.outcome in ("passed", "failed")])
    failed = [each.seed for each in ran if each.outcome == "failed"]
    values = group_headlines(ran)
    headlines = compute_headlines(values)
    judged = {} if len(runs) < len(requested_seeds) else budgets
    expected = {name for each in ran for name in each.predictions}
    whole = [each for each in ran if each.outcome == "passed" or each.predictions.keys() >= expected]
    shared = collect_shared_values([each.predictions for each in whole])
    sizes = {name: _find_size_range(arrays) for name, arrays in shared.items()}
    nonfinite = {name: _find_nonfinite_seeds(each) for name, each in values.items() if name not in headlines}
    return SweepResult(
        tuple(requested_seeds),
        tuple(runs),
        failure_rate(failed, len(ran)) if ran else None,
        headlines,
        {name: _judge_budget(name, ran, values, limits) for name, limits in judged.items()},
        compute_stabilities(whole),
        tuple(each.seed for each in whole),
        {name: (low, high) for name, (low, high) in sizes.items() if low < high},
        {name: seeds for name, seeds in nonfinite.items() if seeds},
    )


def group_headlines(runs: Sequence[RunSummary]) -> dict[str, dict[int, float]]:
    """Name → seed → headline value."""
    found: dict[str, dict[int, float]] = {}
    for run in runs:
        for name, value in run.headlines.items():
            found.setdefault(name, {})[run.seed] = value
    return found


def compute_headlines(values: Mapping[str, Mapping[int, float]]) -> dict[str, Sweep]:
    """How each headline scatters that is finite under two seeds or more."""
    return {name: sweep(by_seed) for name, by_seed in values.items() if _count_finite(by_seed) > 1}


def _find_nonfinite_seeds(values: Mapping[int, float]) -> tuple[int, ...]:
    return tuple(seed for seed, value in values.items() if not math.isfinite(value))


def _count_finite(values: Mapping[int, float]) -> int:
    return sum(map(math.isfinite, values.values()))


def _drop_partial_series(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """*runs*; failed ones without the values of a series that they left half way.

    A series ends where the shortest passing run ends, or else the longest run.
    """
    passed = [each.steps for each in runs if each.outcome == "passed"]
    ends: dict[str, int] = {}
    for steps in passed or [each.steps for each in runs]:
        for name, step in steps.items():
            ends[name] = (min if passed else max)(ends.get(name, step), step)
    return [each if each.outcome == "passed" else _drop_partial_values(each, ends) for each in runs]


def _drop_partial_values(run: RunSummary, last_steps: Mapping[str, int]) -> RunSummary:
    half = {name for name, step in run.steps.items() if step < last_steps.get(name, 0)}
    headlines = {name: value for name, value in run.headlines.items() if name not in half}
    predictions = {name: value for name, value in run.predictions.items() if name not in half}
    return replace(run, headlines=headlines, predictions=predictions)


def _judge_budget(
    name: str, runs: Sequence[RunSummary], values: Mapping[str, Mapping[int, float]], limits: BudgetLimits
) -> Budget | str:
    if name not in values:
        kind = next((each.kinds[name] for each in runs if name in each.kinds), "")
        there = f"it is {kind}" if kind else f"recorded: {', '.join(values) or 'none'}"
        return f"nothing is recorded by that name as a number ({there})"
    # A failed run is reported already, and may have failed earlier.
    without = [each.seed for each in runs if each.outcome == "passed" and name not in each.headlines]
    if without:
        return f"not recorded as a number with {format_seeds(without)}"
    if (finite := _count_finite(values[name])) < 2:
        found = f"finite under {finite} of {len(values[name])} seeds"
        return f"{found}; over fewer than two there is nothing to judge"
    return budget(values[name], **limits)


def compute_stabilities(runs: Sequence[RunSummary]) -> dict[str, Stability]:
    """How far predictions of two runs or more agree, by name; skips empty ones and uneven sizes."""
    found = {}
    for name, arrays in collect_shared_values([each.predictions for each in runs]).items():
        low, high = _find_size_range(arrays)
        if 0 < low == high:
            found[name] = _compute_stability(arrays)
    return found


def _find_size_range(arrays: Sequence[Any]) -> tuple[int, int]:
    sizes = [each.size for each in arrays]
    return min(sizes), max(sizes)


def _compute_stability(arrays: list[Any]) -> Stability:
    from pytest_repro.metrics.predictions import ConstantModelWarning, stability

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantModelWarning)  # the test's name says it once
        return stability(arrays)


def collect_shared_values(values: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What all of two or more runs have, by name, in the order of the first run."""
    if len(values) < 2:
        return {}
    shared = [name for name in values[0] if all(name in each for each in values)]
    return {name: [each[name] for each in values] for name in shared}
