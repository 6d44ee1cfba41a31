"""What a test has shown over seeds: how its headline values scatter, and how often it fails."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_repro.core.runs.run_summary import Gathered
from pytest_repro.engine.sweep.run_summary import in_all
from pytest_repro.metrics._arguments import seeds
from pytest_repro.metrics.budgets import Budget, budget
from pytest_repro.metrics.failures import FailureRate, failure_rate
from pytest_repro.metrics.seeds import Sweep, sweep

if TYPE_CHECKING:
    from pytest_repro.metrics.predictions import Stability

Rules = Mapping[str, float]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Swept:
    """A test over seeds.

    Attributes:
        asked: The seeds asked for; fewer were run where the session ended before.
        runs: One for each seed that was run.
        rate: How often it fails, over the runs that passed or failed; None where there are none.
        headlines: Each number recorded under two seeds or more, over them.
        budgets: Those the test has asked for, by headline; a text where there is nothing to judge.
        stability: How far predictions agree between seeds, by name.
        predicting: The seeds of the runs that tell it: those that passed, or failed after all of it.
        uneven: Predictions of another size under another seed, of which nothing can be told: the
            smallest and the largest number of items, by name.
        not_finite: Numbers recorded that are finite under fewer than two seeds, so that nothing of
            them can be told: the seeds under which they are not, by name.
    """

    asked: tuple[int, ...]
    runs: tuple[Gathered, ...]
    rate: FailureRate | None
    headlines: Mapping[str, Sweep]
    budgets: Mapping[str, Budget | str]
    stability: Mapping[str, Stability]
    predicting: tuple[int, ...]
    uneven: Mapping[str, tuple[int, int]]
    not_finite: Mapping[str, tuple[int, ...]]

    @property
    def broken(self) -> bool:
        """Whether the test fails with a seed, or a budget is not kept."""
        failed = self.rate is not None and self.rate.failed > 0
        return failed or bool(self.over)

    @property
    def expected(self) -> str | None:
        """Why all that breaks it was expected: the reason of the first seed; None where it was not."""
        failed = [each.expected for each in self.runs if each.outcome == "failed"]
        if self.over or None in failed:
            return None
        return next(iter(failed), None)

    @property
    def over(self) -> list[str]:
        """The headlines whose budgets are not kept."""
        return [n for n, each in self.budgets.items() if isinstance(each, str) or not each.kept]

    def seeds(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """The seeds of runs that are counted from 0 among those that tell of predictions."""
        return tuple(self.predicting[number] for number in numbers)


def swept(asked: Sequence[int], runs: Sequence[Gathered], budgets: Mapping[str, Rules]) -> Swept:
    """What *runs*, one for each seed, say together.

    Args:
        asked: The seeds asked for.
        runs: Those made, in any order.
        budgets: What the test allows, by headline: :func:`pytest_repro.metrics.budget`.
    """
    ran = [each for each in runs if each.outcome in ("passed", "failed")]
    failed = [each.seed for each in ran if each.outcome == "failed"]
    ran = _to_the_end(ran)
    values = _by_name(ran)
    headlines = {name: sweep(by_seed) for name, by_seed in values.items() if _finite(by_seed) > 1}
    ended = len(runs) < len(asked)  # before all of them were run: then nobody knows
    judged = {} if ended else {name: _judged(name, ran, values, rules) for name, rules in budgets.items()}
    rate = failure_rate(failed, len(ran)) if ran else None
    expected = {name for each in ran for name in each.predictions}
    whole = [each for each in ran if each.outcome == "passed" or each.predictions.keys() >= expected]
    by = tuple(each.seed for each in whole)
    return Swept(
        tuple(asked), tuple(runs), rate, headlines, judged, stabilities(whole), by, uneven(whole),
        {name: bad for name, each in values.items() if name not in headlines and (bad := _not_finite(each))},
    )  # fmt: skip


def _not_finite(values: Mapping[int, float]) -> tuple[int, ...]:
    return tuple(seed for seed, value in values.items() if not math.isfinite(value))


def _to_the_end(runs: Sequence[Gathered]) -> list[Gathered]:
    """*runs*; of those that failed without the values of a series that they left half way.

    The end is where the shortest run that passed ends, or else the longest one.
    """
    passed = [each.steps for each in runs if each.outcome == "passed"]
    ends: dict[str, int] = {}
    for steps in passed or [each.steps for each in runs]:
        for name, step in steps.items():
            ends[name] = (min if passed else max)(ends.get(name, step), step)
    return [each if each.outcome == "passed" else _without_half(each, ends) for each in runs]


def _without_half(run: Gathered, ends: Mapping[str, int]) -> Gathered:
    half = {name for name, step in run.steps.items() if step < ends.get(name, 0)}
    return replace(run, headlines=_but(run.headlines, half), predictions=_but(run.predictions, half))


def _but(values: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    return {name: value for name, value in values.items() if name not in names}


def _by_name(runs: Sequence[Gathered]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for run in runs:
        for name, value in run.headlines.items():
            found.setdefault(name, {})[run.seed] = value
    return found


def _finite(values: Mapping[int, float]) -> int:
    return sum(map(math.isfinite, values.values()))


def _judged(
    name: str, runs: Sequence[Gathered], values: Mapping[str, Mapping[int, float]], rules: Rules
) -> Budget | str:
    if name not in values:
        kind = next((each.kinds[name] for each in runs if name in each.kinds), "")
        there = f"it is {kind}" if kind else f"recorded: {', '.join(values) or 'none'}"
        return f"nothing is recorded by that name as a number ({there})"
    # One that failed is told already, and may have failed before.
    without = [each.seed for each in runs if each.outcome == "passed" and name not in each.headlines]
    if without:
        return f"not recorded as a number with {seeds(without)}"
    if _finite(values[name]) < 2:
        found = f"finite under {_finite(values[name])} of {len(values[name])} seeds"
        return f"{found}; over fewer than two there is nothing to judge"
    return budget(values[name], **rules)


def stabilities(runs: Sequence[Gathered]) -> dict[str, Stability]:
    """How far the predictions of two runs or more agree, by name, but for empty ones and unlike sizes."""
    shared, sizes = _predictions(runs)
    return {name: _stability(shared[name]) for name, its in sizes.items() if len(its) == 1 and its != {0}}


def uneven(runs: Sequence[Gathered]) -> dict[str, tuple[int, int]]:
    """Of predictions whose size is not the same in all *runs*, the smallest and the largest, by name."""
    return {name: (min(its), max(its)) for name, its in _predictions(runs)[1].items() if len(its) > 1}


def _predictions(runs: Sequence[Gathered]) -> tuple[dict[str, list[Any]], dict[str, set[int]]]:
    """What all of two runs or more predict, and the sizes of it, by name."""
    shared = in_all(runs, lambda run: run.predictions) if len(runs) > 1 else {}
    return shared, {name: {array.size for array in each} for name, each in shared.items()}


def _stability(arrays: list[Any]) -> Stability:
    from pytest_repro.metrics.predictions import ConstantModelWarning, stability

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantModelWarning)  # said by the test's name, once
        return stability(arrays)
