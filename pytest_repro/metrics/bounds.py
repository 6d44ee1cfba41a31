"""Suggests a bound for an assertion from the values over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

from pytest_repro.metrics._arguments import check_fraction, check_seed_values, format_percent, mean_and_std
from pytest_repro.metrics.failures import binomial_cdf

_INTEGRATION_STEPS = 4000
# Relative error of k from 2 seeds on: 1e-9, and 2e-7 at a confidence of 0.9999. Beyond that 2 seeds depend
# on stds so small that the steps miss them.
_MAX_CONFIDENCE = 0.9999

Side = Literal["lower", "upper"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound for an assertion.

    Attributes:
        bound: The bound, in the unit of the values.
        side: ``lower``: ``assert value >= bound``; ``upper``: ``assert value <= bound``.
        fails: Largest share of seeds that fail, at that confidence.
        n: Number of seeds it is computed from.
        method: ``order``: one of the values, for any distribution; ``normal``: from mean and std,
            correct for a normal distribution.
        seeds_needed: Number of seeds from which on ``order`` is available.
    """

    bound: float
    side: Side
    fails: float
    confidence: float
    n: int
    method: Literal["order", "normal"]
    seeds_needed: int

    def __str__(self) -> str:
        sign = ">=" if self.side == "lower" else "<="
        assumes = f", assuming a normal distribution; {self.seeds_needed} seeds need no assumption"
        method = "" if self.method == "order" else assumes
        return (
            f"value {sign} {self.bound:.6g} fails for at most {format_percent(self.fails)} of seeds "
            f"({format_percent(self.confidence)} confidence, n {self.n}{method})"
        )


def suggested_bound(
    values: Mapping[int, float], side: Side = "lower", fails: float = 0.05, confidence: float = 0.95
) -> Bound:
    """A bound for an assertion that seldom fails with another seed.

    With enough seeds it is the r-th smallest value, with the largest r for which r - 1 or fewer of
    *n* have at most the probability ``1 - confidence`` if each has the probability *fails*: a
    tolerance limit for any continuous distribution (Wilks, Determination of sample sizes for setting
    tolerance limits, Annals of Mathematical Statistics 12, 1941). The smallest value itself needs
    ``log(1 - confidence) / log(1 - fails)`` seeds: 59 for 0.05 and 0.95.

    With fewer it is ``mean - k std``, the tolerance limit of a normal distribution, where k solves
    ``E[Φ(√n (k S - z))] = confidence`` with ``z = Φ⁻¹(1 - fails)`` and S the std of *n* standard
    normals; that is k = 2.911 for 10 seeds, 0.05 and 0.95.

    Args:
        values: Seed → finite number, at least two.
        side: ``lower`` for a value that must not fall below, ``upper`` for one that must not exceed.
        fails: Share of seeds that may fail, between 0 and 1.
        confidence: Probability that no more fail, above 0 and at most 0.9999.

    Raises:
        TypeError: *values* is not a mapping of integers to numbers.
        ValueError: There are fewer than two values, one is not finite, or an argument is out of range.
    """
    if side not in ("lower", "upper"):
        raise ValueError(f"side={side!r}: expected 'lower' or 'upper'")
    check_fraction("fails", fails)
    check_fraction("confidence", confidence)
    if confidence > _MAX_CONFIDENCE:
        raise ValueError(f"confidence={confidence}: expected at most {_MAX_CONFIDENCE}")
    numbers = _check_finite(check_seed_values("values", values))
    sign, n = 1 if side == "lower" else -1, len(numbers)
    ordered = sorted(sign * number for number in numbers)
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - fails))
    if n >= needed:
        rank = _find_rank(n, fails, 1 - confidence)
        return Bound(sign * ordered[rank - 1], side, fails, confidence, n, "order", needed)
    mean, std = mean_and_std(ordered)
    bound = sign * (mean - _solve_tolerance_factor(n, fails, confidence) * std)
    return Bound(bound, side, fails, confidence, n, "normal", needed)


def _check_finite(values: dict[int, float]) -> list[float]:
    for seed, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"values[{seed}]={value}: expected finite numbers")
    if len(values) < 2:
        raise ValueError(f"values holds {len(values)}: expected at least 2")
    return list(values.values())


def _find_rank(n: int, fails: float, alpha: float) -> int:
    """The largest r with P(Binomial(n, fails) < r) <= alpha; at least 1."""
    rank = 1
    while rank < n * fails and binomial_cdf(rank, n, fails) <= alpha:
        rank += 1
    return rank


@lru_cache(maxsize=64)
def _solve_tolerance_factor(n: int, fails: float, confidence: float) -> float:
    """The k of the tolerance limit of a normal distribution, by bisection."""
    root, z = math.sqrt(n / 2), NormalDist().inv_cdf(1 - fails)
    stds = _tabulate_std_density(n - 1)

    def coverage(k: float) -> float:
        return sum(weight * math.erfc(root * (z - k * s)) for s, weight in stds) / 2

    low, high = -10.0, 10.0
    while coverage(high) < confidence:
        low, high = high, 2 * high
    while high - low > 1e-13 * (1 + abs(high)):
        middle = (low + high) / 2
        low, high = (middle, high) if coverage(middle) < confidence else (low, middle)
    return high


def _tabulate_std_density(degrees: int) -> list[tuple[float, float]]:
    """Stds of standard normal samples, and their probabilities by Simpson's rule.

    In steps of the square root of the std: k is large for small stds, and 0 itself has no weight.
    """
    # 12 / √degrees is 17 standard deviations of the std.
    start = math.sqrt(max(0.0, 1 - 12 / math.sqrt(degrees)))
    step = (math.sqrt(1 + 12 / math.sqrt(degrees)) - start) / _INTEGRATION_STEPS
    constant = math.log(4) + degrees / 2 * math.log(degrees / 2) - math.lgamma(degrees / 2)
    points = []
    for i in range(1, _INTEGRATION_STEPS):
        root = start + i * step
        power = (2 * degrees - 1) * math.log(root) - degrees * root**4 / 2
        points.append((root * root, (4 if i % 2 else 2) * math.exp(constant + power)))
    total = math.fsum(weight for _, weight in points)
    return [(s, weight / total) for s, weight in points if weight > 1e-20 * total]
