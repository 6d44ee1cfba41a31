"""What determinism costs in time."""

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
        deterministic: Median with the controls on, in the unit given (seconds).
        default: Median with them off, likewise.
        n: Number of times of either.
        spread: The least and the largest ratio of two times that were taken side by side; None where
            there are not as many of either.
    """

    deterministic: float
    default: float
    n: tuple[int, int]
    spread: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        """``deterministic / default``; below 1 where determinism is faster."""
        return self.deterministic / self.default

    @property
    def percent(self) -> float:
        """What determinism adds, in percent of the default: ``100 * (ratio - 1)``."""
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
    """What determinism costs: the ratio of two medians, and the percentage that it adds.

    Take the times interleaved (on, off, on, off, …), so that a machine that slows down slows both.
    Zhuang et al. (Randomness in Neural Network Training, MLSys 2022) tell the cost of determinism as
    overhead over the default in percent. It may be negative.

    Args:
        on: Times with determinism controls on, in seconds; one or more.
        off: Times with them off, in seconds; one or more.

    Raises:
        TypeError: They are no sequences of numbers.
        ValueError: One is empty, or holds what is not positive and finite.
    """
    deterministic, default = _check_times("on", on), _check_times("off", off)
    n = len(deterministic), len(default)
    ratios = [a / b for a, b in zip(deterministic, default)] if n[0] == n[1] > 1 else []
    return Cost(median(deterministic), median(default), n, (min(ratios), max(ratios)) if ratios else None)


def _check_times(name: str, times: Sequence[float]) -> list[float]:
    found = [check_real(f"{name}[{i}]", each) for i, each in enumerate(times)]
    if not found:
        raise ValueError(f"{name} is empty: expected one time or more")
    for i, each in enumerate(found):
        if not 0 < each < math.inf:
            raise ValueError(f"{name}[{i}]={each:g}: expected a positive number of seconds")
    return found
