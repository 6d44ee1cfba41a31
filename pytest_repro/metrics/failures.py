"""How often a test fails over seeds, and a bound for an assertion that seldom fails."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

from pytest_repro.metrics._arguments import (
    check_finite_seed_values,
    check_fraction,
    check_integer,
    compute_mean_and_std,
    format_percent,
    format_seeds,
)

_INTEGRATION_STEPS = 4000
# Relative error of k from 2 seeds on: 1e-9, and 2e-7 at a confidence of 0.9999. Beyond that 2 seeds depend
# on stds so small that the steps miss them.
_MAX_CONFIDENCE = 0.9999

Side = Literal["lower", "upper"]


@dataclass(frozen=True, slots=True)
class FailureRate:
    """How often a test fails over seeds.

    Attributes:
        failed: Number of seeds at which it failed.
        n: Number of seeds.
        rate: ``failed / n``, the estimate of P(fail).
        upper: One-sided upper bound of P(fail).
        interval: Two-sided interval of P(fail), of the same confidence.
        seeds: The seeds at which it failed, if known.
    """

    failed: int
    n: int
    rate: float
    upper: float
    interval: tuple[float, float]
    confidence: float
    seeds: tuple[int, ...] = ()

    def __str__(self) -> str:
        named = f": {format_seeds(self.seeds)}" if self.seeds else ""
        return (
            f"{self.failed} of {self.n} failed{named}; P(fail) {format_percent(self.rate)}, "
            f"up to {format_percent(self.upper)} ({format_percent(self.confidence)} confidence)"
        )


def failure_rate(failed: int | Collection[int], n: int, confidence: float = 0.95) -> FailureRate:
    """P(fail) of a test over seeds, with the exact bounds of Clopper and Pearson.

    The upper bound is the P(fail) at which *failed* or fewer failures in *n* have the probability
    ``1 - confidence`` (Clopper and Pearson, The use of confidence or fiducial limits illustrated in
    the case of the binomial, Biometrika 26, 1934); the two-sided interval has half of that on
    either side. 0 of *n* give ``1 - (1 - confidence) ** (1 / n)``: 9.5 % for 0 of 30.

    Args:
        failed: Number of seeds that failed, or the seeds themselves.
        n: Number of seeds tried, at least 1.
        confidence: Between 0 and 1.

    Raises:
        TypeError: *failed* or *n* is not an integer.
        ValueError: More failed than were tried, or *confidence* is not between 0 and 1.
    """
    check_integer("n", n, 1)
    alpha = 1 - check_fraction("confidence", confidence)
    seeds = tuple(sorted(set(failed))) if isinstance(failed, Collection) else ()
    count = len(seeds) if isinstance(failed, Collection) else check_integer("failed", failed, 0)
    if count > n:
        raise ValueError(f"failed={count}: expected at most n={n}")
    interval = 1 - _solve_upper_bound(n - count, n, alpha / 2), _solve_upper_bound(count, n, alpha / 2)
    upper = _solve_upper_bound(count, n, alpha)
    return FailureRate(count, n, count / n, upper, interval, confidence, seeds)


def _solve_upper_bound(count: int, n: int, probability: float) -> float:
    """The p at which *count* or fewer of *n* have *probability*; by bisection."""
    if count == n:
        return 1.0
    if count == 0:
        return -math.expm1(math.log(probability) / n)
    low, high = count / n, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if binomial_cdf(count, n, middle) > probability else (low, middle)
    return high


def binomial_cdf(count: int, n: int, p: float) -> float:
    """The probability of *count* or fewer of *n*, at ``count / n <= p < 1``."""
    # Each term is smaller than the one before, so the loop stops once they vanish in the sum: 1e6 trials take
    # some thousand terms.
    log = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
    term = math.exp(log + count * math.log(p) + (n - count) * math.log1p(-p))
    total = term
    for i in range(count, 0, -1):
        term *= i * (1 - p) / ((n - i + 1) * p)
        total += term
        if term < total * 1e-17:
            break
    return total


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
    numbers = check_finite_seed_values("values", values)
    sign, n = 1 if side == "lower" else -1, len(numbers)
    ordered = sorted(sign * number for number in numbers.values())
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - fails))
    if n >= needed:
        rank = _find_rank(n, fails, 1 - confidence)
        return Bound(sign * ordered[rank - 1], side, fails, confidence, n, "order", needed)
    mean, std = compute_mean_and_std(ordered)
    bound = sign * (mean - _solve_tolerance_factor(n, fails, confidence) * std)
    return Bound(bound, side, fails, confidence, n, "normal", needed)


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
