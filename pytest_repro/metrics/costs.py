"""Measures what determinism costs in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pytest_repro.metrics._arguments import check_real


@dataclass(frozen=True, slots=True)
class Cost:
    """What determinism costs in time.

    Attributes:
        deterministic: Median time with determinism controls on, in seconds.
        default: Median time with them off, in seconds.
        n: Number of times of each.
        spread: Smallest and largest ratio of two times taken one after the other; None unless there
            are equally many of each, two or more.
    """

    deterministic: float
    default: float
    n: tuple[int, int]
    spread: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        """``deterministic / default``; below 1 if determinism is faster."""
        return self.deterministic / self.default

    @property
    def percent(self) -> float:
        """``100 * (ratio - 1)``."""
        return 100 * (self.ratio - 1)

    @property
    def summary(self) -> str:
        """``deterministic 0.32 s, default 0.48 s: ratio 0.67, -33 %``."""
        return self._format_summary("")

    def _format_summary(self, detail: str) -> str:
        times = f"deterministic {self.deterministic:.3g} s, default {self.default:.3g} s{detail}"
        return f"{times}: ratio {self.ratio:.2f}, {round(self.percent) or 0:+} %"

    def __str__(self) -> str:
        pairs = f" (pair by pair {self.spread[0]:.2f} to {self.spread[1]:.2f})" if self.spread else ""
        return self._format_summary(f" (medians of {self.n[0]} and {self.n[1]})") + pairs


def cost(on: Sequence[float], off: Sequence[float]) -> Cost:
    """The ratio of the median times with and without determinism, and the overhead in percent.

    Take the times interleaved (on, off, on, off, …), so that a machine that slows down slows both.
    Zhuang et al. (Randomness in Neural Network Training, MLSys 2022) report the cost of determinism as
    overhead over the default in percent. It may be negative.

    Args:
        on: Times with determinism controls on, in seconds; one or more.
        off: Times with them off, in seconds; one or more.

    Raises:
        TypeError: *on* or *off* is not a sequence of numbers.
        ValueError: *on* or *off* is empty, or holds a number that is not positive and finite.
    """
    deterministic, default = _check_times("on", on), _check_times("off", off)
    n = len(deterministic), len(default)
    ratios = [a / b for a, b in zip(deterministic, default)] if n[0] == n[1] > 1 else []
    return Cost(median(deterministic), median(default), n, (min(ratios), max(ratios)) if ratios else None)


def _check_times(name: str, times: Sequence[float]) -> list[float]:
    checked = [check_real(f"{name}[{i}]", seconds) for i, seconds in enumerate(times)]
    if not checked:
        raise ValueError(f"{name} is empty: expected one time or more")
    for i, seconds in enumerate(checked):
        if not 0 < seconds < math.inf:
            raise ValueError(f"{name}[{i}]={seconds:g}: expected a positive number of seconds")
    return checked
