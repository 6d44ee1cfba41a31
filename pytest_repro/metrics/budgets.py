"""Checks a headline value over seeds against limits, and names the seeds that break them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from pytest_repro.metrics._arguments import check_real, format_seeds
from pytest_repro.metrics.seeds import Sweep, sweep


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule of a budget that is broken.

    Attributes:
        rule: ``std``, ``range``, ``min``, ``max`` or ``finite``.
        allowed: The limit, in the unit of the values.
        actual: The value over the seeds.
        seeds: Seeds beyond ``min`` or ``max``; for ``std`` and ``range`` the fewest seeds without
            which the others keep the rule.
    """

    rule: str
    allowed: float
    actual: float
    seeds: tuple[int, ...]

    def __str__(self) -> str:
        if self.rule == "finite":
            return f"not finite: {format_seeds(self.seeds)}"
        sign = "<" if self.rule == "min" else ">"
        return f"{self.rule} {self.actual:.4g} {sign} {self.allowed:.4g}: {format_seeds(self.seeds)}"


@dataclass(frozen=True, slots=True)
class Budget:
    """Whether a headline value stays within its budget.

    Attributes:
        sweep: Statistics of the value over the seeds.
        breaches: The broken rules.
    """

    sweep: Sweep
    breaches: tuple[Breach, ...]

    @property
    def within_budget(self) -> bool:
        """Whether no rule is broken."""
        return not self.breaches

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that break a rule, sorted."""
        return tuple(sorted({seed for each in self.breaches for seed in each.seeds}))

    def __str__(self) -> str:
        breaches = "; ".join(map(str, self.breaches))
        return f"over budget: {breaches} ({self.sweep})" if breaches else f"within budget: {self.sweep}"


def budget(
    values: Mapping[int, float] | Sweep,
    *,
    std: float | None = None,
    range: float | None = None,
    min: float | None = None,
    max: float | None = None,
) -> Budget:
    """Checks a headline value over seeds against limits.

    A value that is NaN or infinite breaks every budget. A value equal to a limit keeps it, and a std or
    range may exceed it by the rounding of the values.

    Args:
        values: Seed → number, or the result of :func:`~pytest_repro.metrics.sweep`.
        std: Largest standard deviation (``ddof=1``), in the unit of the values.
        range: Largest difference of two values, in the same unit.
        min: Smallest value.
        max: Largest value.

    Raises:
        TypeError: *values* is not a mapping of integers to numbers, or a limit is not a number.
        ValueError: No limit is given, one is NaN, *std* or *range* is negative, or fewer than two
            values are finite.
    """
    allowed_by = check_rules({"std": std, "range": range, "min": min, "max": max})
    result = values if isinstance(values, Sweep) else sweep(values)
    finite = [(seed, value) for seed, value in result.values if seed not in result.not_finite]
    broken = [Breach("finite", math.inf, math.inf, result.not_finite)] if result.not_finite else []
    for rule, allowed in allowed_by.items():
        actual = float(getattr(result, rule))
        limit = allowed + (_compute_rounding_slack(result) if rule in ("std", "range") else 0.0)
        if actual < limit if rule == "min" else actual > limit:
            broken.append(Breach(rule, allowed, actual, _SEED_FINDERS[rule](finite, limit)))
    return Budget(result, tuple(broken))


def _compute_rounding_slack(result: Sweep) -> float:
    """Rounding of a difference: 0.92 - 0.9 is 0.020000000000000018."""
    return 4 * math.ulp(max(abs(result.min), abs(result.max)))


def check_rules(limits: dict[str, float | None]) -> dict[str, float]:
    """The limits in *limits* that are not None, checked as by :func:`budget`.

    Args:
        limits: ``std``, ``range``, ``min`` and ``max``.
    """
    rules = {}
    for name, limit in limits.items():
        if isinstance(limit, bool):
            raise TypeError(f"{name} is a bool: expected a number")
        if limit is None:
            continue
        rules[name] = allowed = check_real(name, limit)
        is_spread = name in ("std", "range")
        if math.isnan(allowed) or (is_spread and allowed < 0):
            raise ValueError(f"{name}={allowed:g}: expected a number{' that is not negative' * is_spread}")
    if not rules:
        raise ValueError("no limit is given: expected one or more of std, range, min and max")
    return rules


_Values = list[tuple[int, float]]


def _find_seeds_below(values: _Values, allowed: float) -> tuple[int, ...]:
    return tuple(seed for seed, value in values if value < allowed)


def _find_seeds_above(values: _Values, allowed: float) -> tuple[int, ...]:
    return tuple(seed for seed, value in values if value > allowed)


_WindowSpread = Callable[[int, int], float]
"""The spread of the values from the first index to before the second."""


def _make_seed_finder(
    make_window_spread: Callable[[list[float]], _WindowSpread],
) -> Callable[[_Values, float], tuple[int, ...]]:
    """Makes a function that finds the fewest seeds without which the spread is allowed.

    The largest set of values that is allowed is a window of the sorted values, for the std as for the
    range: replacing a value outside by one from between makes neither larger.
    """

    def find_fewest_seeds(values: _Values, allowed: float) -> tuple[int, ...]:
        ordered = sorted(values, key=lambda each: each[1])
        window = make_window_spread([value for _, value in ordered])
        start, stop = _find_longest_window(window, len(ordered), allowed)
        return tuple(sorted(seed for seed, _ in ordered[:start] + ordered[stop:]))

    return find_fewest_seeds


def _find_longest_window(window_spread: _WindowSpread, n: int, allowed: float) -> tuple[int, int]:
    """The longest window, shorter than all, that is allowed; the narrowest of several."""
    for length in range(n - 1, 1, -1):
        start = min(range(n - length + 1), key=lambda at: window_spread(at, at + length))
        if window_spread(start, start + length) <= allowed:
            return start, start + length
    return (n - 1) // 2, (n - 1) // 2 + 1  # the median: one value has no spread


def _make_window_range(ordered: list[float]) -> _WindowSpread:
    return lambda start, stop: ordered[stop - 1] - ordered[start]


def _make_window_std(ordered: list[float]) -> _WindowSpread:
    """By running sums, of distances from the median: 1000 seeds have half a million windows."""
    middle = median(ordered)
    distances = [value - middle for value in ordered]
    sums = list(accumulate(distances, initial=0.0))
    squares = list(accumulate((distance * distance for distance in distances), initial=0.0))

    def std(start: int, stop: int) -> float:
        n, total = stop - start, sums[stop] - sums[start]
        return math.sqrt(max(0.0, squares[stop] - squares[start] - total * total / n) / (n - 1))

    return std


_SEED_FINDERS: dict[str, Callable[[_Values, float], tuple[int, ...]]] = {
    "min": _find_seeds_below,
    "max": _find_seeds_above,
    "std": _make_seed_finder(_make_window_std),
    "range": _make_seed_finder(_make_window_range),
}
