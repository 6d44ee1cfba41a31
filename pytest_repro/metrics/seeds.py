"""Summarizes a headline value over seeds, and checks it against limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist, fmean, median

from pytest_repro.metrics._arguments import (
    check_integer,
    check_real,
    check_seed_values,
    compute_mean_and_std,
    format_seeds,
)

_SPREADS = ("std", "range")
_OUTLIER_SCORE = 3.5
_QUARTILE = NormalDist().inv_cdf(0.75)  # 0.6745: median absolute deviation of a normal, in stds
_MEAN_DEVIATION = math.sqrt(math.pi / 2)  # 1.2533: std of a normal, in mean absolute deviations


@dataclass(frozen=True, slots=True)
class Sweep:
    """A headline value over seeds; numbers in the unit of the values, over the finite ones.

    Attributes:
        values: Seed and value, sorted by seed.
        n: Number of finite values.
        std: Standard deviation, ``ddof=1``.
        range: ``max - min``.
        range_ratio: ``range / (d2(n) * std)``: about 1 for a normal distribution, larger with heavy
            tails, smaller with few distinct values; None if std is 0.
        outliers: Seeds with outlying values. Normal values have one in 29 % of sweeps of 3, 21 % of 5,
            12 % of 10 and 9 % of 20 (simulated).
        not_finite: Seeds whose value is NaN or infinite.
    """

    values: tuple[tuple[int, float], ...]
    n: int
    mean: float
    std: float
    min: float
    max: float
    range: float
    range_ratio: float | None
    outliers: tuple[int, ...]
    not_finite: tuple[int, ...]

    def __str__(self) -> str:
        ratio = "" if self.range_ratio is None else f" ({self.range_ratio:.2f} of a normal's)"
        text = f"n {self.n}, mean {self.mean:.4g}, std {self.std:.3g}, min {self.min:.4g}, max {self.max:.4g}"
        text += f", range {self.range:.3g}{ratio}"
        text += f", outliers: {format_seeds(self.outliers)}" if self.outliers else ""
        return text + (f", not finite: {format_seeds(self.not_finite)}" if self.not_finite else "")


def sweep(values: Mapping[int, float]) -> Sweep:
    """Summarizes how a headline value varies over seeds; *values* are numbers by seed.

    The range grows with the number of seeds, so it is also given as a share of the mean range of *n*
    normal values with the same std: ``range / (d2(n) * std)``, see :func:`expected_range`. Values that
    are NaN or infinite are named, and left out of the numbers.

    Outliers have a modified z-score ``0.6745 |x - median| / MAD`` above 3.5, with MAD the median
    absolute deviation from the median (Iglewicz and Hoaglin, How to Detect and Handle Outliers,
    1993). If more than half of the values are equal, MAD is 0 and the score is
    ``|x - median| / (1.2533 * mean absolute deviation)``.

    Raises:
        TypeError: *values* is not a mapping of integers to numbers.
        ValueError: Fewer than two values are finite.
    """
    checked = check_seed_values("values", values)
    finite = {seed: value for seed, value in checked.items() if math.isfinite(value)}
    numbers, n = list(finite.values()), len(finite)
    if n < 2:
        raise ValueError(f"values holds {n} finite of {len(checked)}: expected at least 2")
    (mean, std), low, high = compute_mean_and_std(numbers), min(numbers), max(numbers)
    ratio = (high - low) / (expected_range(n) * std) if std else None
    middle = median(numbers)
    distances = [abs(value - middle) for value in numbers]
    scale = median(distances) / _QUARTILE or fmean(distances) * _MEAN_DEVIATION
    outliers = tuple(seed for seed, gap in zip(finite, distances) if scale and gap / scale > _OUTLIER_SCORE)
    not_finite = tuple(seed for seed in checked if seed not in finite)
    return Sweep(tuple(checked.items()), n, mean, std, low, high, high - low, ratio, outliers, not_finite)


@lru_cache(maxsize=256)
def expected_range(n: int) -> float:
    """``d2(n)``: the mean range of *n* independent standard normals, two or more.

    ``∫ 1 - Φ(x)^n - (1 - Φ(x))^n dx`` over all x (Tippett, On the extreme individuals and the range
    of samples taken from a normal population, Biometrika 17, 1925), by the trapezoidal rule, which
    for such an integrand converges faster than any power of the step: to the last digits of a float.

    Returns:
        In standard deviations: 1.128 for 2, 2.326 for 5, 3.078 for 10, 3.735 for 20.

    Raises:
        TypeError: *n* is not an integer.
        ValueError: *n* is below 2.
    """
    check_integer("n", n, 2)
    step = 1 / 64

    def integrand(x: float) -> float:  # without cancellation if Φ is close to 1
        above = math.erfc(x / math.sqrt(2)) / 2
        return -math.expm1(n * math.log1p(-above)) - above**n

    # The integrand is even, and vanishes before 40 even for n = 10**300.
    half = math.fsum(integrand(step * i) for i in range(1, int(40 / step)))
    return step * (integrand(0) + 2 * half)


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
    """Whether a headline value, summarized by *sweep*, stays within its budget, and the rules it breaks."""

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
    rules = check_rules({"std": std, "range": range, "min": min, "max": max})
    result = values if isinstance(values, Sweep) else sweep(values)
    return Budget(result, tuple(_iter_breaches(result, rules)))


def _iter_breaches(result: Sweep, rules: dict[str, float]) -> Iterator[Breach]:
    if result.not_finite:
        yield Breach("finite", math.inf, math.inf, result.not_finite)
    finite = [(seed, value) for seed, value in result.values if seed not in result.not_finite]
    slack = 4 * math.ulp(max(abs(result.min), abs(result.max)))  # 0.92 - 0.9 is 0.020000000000000018
    for rule, allowed in rules.items():
        actual = float(getattr(result, rule))
        limit = allowed + (slack if rule in _SPREADS else 0.0)
        if actual < limit if rule == "min" else actual > limit:
            yield Breach(rule, allowed, actual, _find_breaking_seeds(rule, finite, limit))


def check_rules(limits: dict[str, float | None]) -> dict[str, float]:
    """The limits (``std``, ``range``, ``min``, ``max``) that are not None, checked as by :func:`budget`."""
    rules = {name: limit for name, limit in limits.items() if limit is not None}
    for name, limit in rules.items():
        if isinstance(limit, bool):
            raise TypeError(f"{name} is a bool: expected a number")
        rules[name] = allowed = check_real(name, limit)
        if math.isnan(allowed) or (name in _SPREADS and allowed < 0):
            sign = " that is not negative" if name in _SPREADS else ""
            raise ValueError(f"{name}={allowed:g}: expected a number{sign}")
    if not rules:
        raise ValueError("no limit is given: expected one or more of std, range, min and max")
    return rules


def _find_breaking_seeds(rule: str, values: list[tuple[int, float]], limit: float) -> tuple[int, ...]:
    """The seeds beyond *limit*; for a spread the fewest seeds without which the others keep it.

    The largest set of values that keeps it is a window of the sorted values, for the std as for the
    range: replacing a value outside by one from between makes neither larger.
    """
    if rule not in _SPREADS:
        return tuple(seed for seed, value in values if (value < limit if rule == "min" else value > limit))
    seeds, ordered = zip(*sorted(values, key=lambda each: each[1]))
    n, center = len(ordered), median(ordered)
    # Running sums, of distances from the median: 1000 seeds have half a million windows.
    distances = [value - center for value in ordered]
    sums = list(accumulate(distances, initial=0.0))
    squares = list(accumulate((distance * distance for distance in distances), initial=0.0))

    def spread(start: int) -> float:
        stop = start + length
        if rule == "range":
            return float(ordered[stop - 1] - ordered[start])
        total = sums[stop] - sums[start]
        return math.sqrt(max(0.0, squares[stop] - squares[start] - total * total / length) / (length - 1))

    for length in range(n - 1, 1, -1):
        start = min(range(n - length + 1), key=spread)
        if spread(start) <= limit:
            return tuple(sorted(seeds[:start] + seeds[start + length :]))
    middle = (n - 1) // 2  # the median: one value has no spread
    return tuple(sorted(seeds[:middle] + seeds[middle + 1 :]))
