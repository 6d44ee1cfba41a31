"""What a test has shown over seeds: how its headline values scatter, and how often it fails."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_repro.core.gathered import Gathered
from pytest_repro.engine.gathered import in_all
from pytest_repro.metrics.budgets import Budget, budget
from pytest_repro.metrics.failures import FailureRate, failure_rate
from pytest_repro.metrics.seeds import Sweep, sweep

if TYPE_CHECKING:
    from pytest_repro.metrics.predictions import Stability

Rules = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Swept:
    """A test over seeds.

    Attributes:
        asked: The seeds asked for; fewer were run where the session ended before.
        runs: One for each seed that was run.
        rate: How often it fails, over the runs that were not skipped; None where there are none.
        headlines: Each number recorded under two seeds or more, over them.
        budgets: Those the test has asked for, by headline; a text where there is nothing to judge.
        stability: How far predictions agree between seeds, by name.
    """

    asked: tuple[int, ...]
    runs: tuple[Gathered, ...]
    rate: FailureRate | None
    headlines: Mapping[str, Sweep]
    budgets: Mapping[str, Budget | str]
    stability: Mapping[str, Stability]

    @property
    def broken(self) -> bool:
        """Whether the test fails with a seed, or a budget is not kept."""
        failed = self.rate is not None and self.rate.failed > 0
        return failed or any(isinstance(each, str) or not each.kept for each in self.budgets.values())

    def seeds(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """The seeds of runs that are counted from 0 among those that were not skipped."""
        ran = [each.seed for each in self.runs if each.outcome != "skipped"]
        return tuple(ran[number] for number in numbers)


def swept(asked: Sequence[int], runs: Sequence[Gathered], budgets: Mapping[str, Rules]) -> Swept:
    """What *runs*, one for each seed, say together.

    Args:
        asked: The seeds asked for.
        runs: Those made, in any order.
        budgets: What the test allows, by headline: :func:`pytest_repro.metrics.budget`.
    """
    ran = [each for each in runs if each.outcome != "skipped"]
    failed = [each.seed for each in ran if each.outcome == "failed"]
    values = _by_name(ran)
    headlines = {name: sweep(by_seed) for name, by_seed in values.items() if _finite(by_seed) > 1}
    ended = len(runs) < len(asked)  # before all of them were run: then nobody knows
    judged = {} if ended else {name: _judged(name, values, rules) for name, rules in budgets.items()}
    rate = failure_rate(failed, len(ran)) if ran else None
    return Swept(tuple(asked), tuple(runs), rate, headlines, judged, stabilities(ran))


def _by_name(runs: Sequence[Gathered]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for run in runs:
        for name, value in run.headlines.items():
            found.setdefault(name, {})[run.seed] = value
    return found


def _finite(values: Mapping[int, float]) -> int:
    return sum(map(math.isfinite, values.values()))


def _judged(name: str, values: Mapping[str, Mapping[int, float]], rules: Rules) -> Budget | str:
    if name not in values:
        there = ", ".join(values) or "none"
        return f"nothing is recorded by that name as a number (recorded: {there})"
    if _finite(values[name]) < 2:
        found = f"finite under {_finite(values[name])} of {len(values[name])} seeds"
        return f"{found}; over fewer than two there is nothing to judge"
    return budget(values[name], **rules)


def stabilities(runs: Sequence[Gathered]) -> dict[str, Stability]:
    """How far the predictions of two runs or more agree, by name; those of unlike sizes are left out."""
    if len(runs) < 2:
        return {}
    shared = in_all(runs, lambda run: run.predictions)
    return {name: _stability(each) for name, each in shared.items() if len({a.size for a in each}) == 1}


def _stability(arrays: list[Any]) -> Stability:
    from pytest_repro.metrics.predictions import ConstantModelWarning, stability

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantModelWarning)  # said by the test's name, once
        return stability(arrays)
