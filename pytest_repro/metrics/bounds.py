"""A bound for an assertion, from what the value was over seeds."""

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
# With these k is right to 1e-9 of it from 2 seeds on, to 2e-7 at a confidence of 0.9999; beyond that
# 2 seeds lean on stds so small that the steps would miss them.
_MAX_CONFIDENCE = 0.9999

Side = Literal["lower", "upper"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound for an assertion.

    Attributes:
        bound: What to assert, in the unit of the values.
        side: ``lower``: ``assert value >= bound``; ``upper``: ``assert value <= bound``.
        fails: Share of seeds that fail at most, at that confidence.
        confidence: Of the above.
        n: Number of seeds it was found from.
        method: ``order``: one of the values, whatever they are distributed like; ``normal``: from
            mean and std, right if they are normal.
        seeds_needed: Number of seeds from which on ``order`` can tell.
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
        taken = "" if self.method == "order" else f", if normal; {self.seeds_needed} seeds tell without that"
        return (
            f"value {sign} {self.bound:.6g} fails for at most {format_percent(self.fails)} of seeds "
            f"({format_percent(self.confidence)} confidence, n {self.n}{taken})"
        )


def suggested_bound(
    values: Mapping[int, float], side: Side = "lower", fails: float = 0.05, confidence: float = 0.95
) -> Bound:
    """A bound that an assertion may have so that it seldom fails with another seed.

    With enough seeds it is the r-th smallest value, the largest r for which r - 1 or fewer of *n*
    have at most the probability ``1 - confidence`` when each has the probability *fails*: a
    tolerance limit for any continuous distribution (Wilks, Determination of sample sizes for setting
    tolerance limits, Annals of Mathematical Statistics 12, 1941). The smallest value itself needs
    ``log(1 - confidence) / log(1 - fails)`` seeds: 59 for 0.05 and 0.95.

    With fewer it is ``mean - k std``, the tolerance limit of a normal, where k solves
    ``E[Φ(√n (k S - z))] = confidence`` with ``z = Φ⁻¹(1 - fails)`` and S the std of *n* standard
    normals; that is k = 2.911 for 10 seeds, 0.05 and 0.95.

    Args:
        values: One finite number for each seed, at least two.
        side: ``lower`` for a value that must not fall below, ``upper`` for one that must not exceed.
        fails: Share of seeds that may fail, between 0 and 1.
        confidence: With which it is no more than that, above 0 and at most 0.9999.

    Raises:
        TypeError: *values* is no mapping of integers to numbers.
        ValueError: Fewer than two values, one that is not finite, another *side*, or *fails* or
            *confidence* out of its range.
    """
    if side not in ("lower", "upper"):
        raise ValueError(f"side={side!r}: expected 'lower' or 'upper'")
    check_fraction("fails", fails), check_fraction("confidence", confidence)
    if confidence > _MAX_CONFIDENCE:
        raise ValueError(f"confidence={confidence}: expected at most {_MAX_CONFIDENCE}")
    found = _check_finite(check_seed_values("values", values))
    sign, n = 1 if side == "lower" else -1, len(found)
    ordered = sorted(sign * each for each in found)
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - fails))
    if n >= needed:
        rank = _find_rank(n, fails, 1 - confidence)
        return Bound(sign * ordered[rank - 1], side, fails, confidence, n, "order", needed)
    mean, std = mean_and_std(ordered)
    bound = sign * (mean - _solve_tolerance_factor(n, fails, confidence) * std)
    return Bound(bound, side, fails, confidence, n, "normal", needed)


def _check_finite(values: dict[int, float]) -> list[float]:
    odd = [seed for seed, value in values.items() if not math.isfinite(value)]
    if odd:
        raise ValueError(f"values[{odd[0]}]={values[odd[0]]}: expected finite numbers")
    if len(values) < 2:
        raise ValueError(f"values holds {len(values)}: expected at least 2")
    return list(values.values())


def _find_rank(n: int, fails: float, alpha: float) -> int:
    """The largest r with P(Binomial(n, fails) < r) <= missed; 1 where even that is more by rounding."""
    rank = 1
    while rank < n * fails and binomial_cdf(rank, n, fails) <= alpha:
        rank += 1
    return rank


@lru_cache(maxsize=64)
def _solve_tolerance_factor(n: int, fails: float, confidence: float) -> float:
    """k of the normal's tolerance limit; by halving."""
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
    """Values of the std of a standard normal's sample, with their probabilities by Simpson's rule.

    In steps of its root: near 0 they are small, as k is large there, and 0 itself has no weight.
    """
    # Twelve over the root of the degrees are seventeen of its own standard deviations.
    start = math.sqrt(max(0.0, 1 - 12 / math.sqrt(degrees)))
    step = (math.sqrt(1 + 12 / math.sqrt(degrees)) - start) / _INTEGRATION_STEPS
    constant = math.log(4) + degrees / 2 * math.log(degrees / 2) - math.lgamma(degrees / 2)
    found = []
    for i in range(1, _INTEGRATION_STEPS):
        root = start + i * step
        power = (2 * degrees - 1) * math.log(root) - degrees * root**4 / 2
        found.append((root * root, (4 if i % 2 else 2) * math.exp(constant + power)))
    total = math.fsum(weight for _, weight in found)
    return [(s, weight / total) for s, weight in found if weight > 1e-20 * total]
