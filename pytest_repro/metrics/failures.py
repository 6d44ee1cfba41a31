"""Estimates how often a test fails over seeds, with an exact bound."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from pytest_repro.metrics._arguments import check_fraction, check_integer, format_percent, format_seeds


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
