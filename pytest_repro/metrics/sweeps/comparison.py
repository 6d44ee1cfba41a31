"""Tests a headline value over seeds against that of an earlier sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple, get_args

from pytest_repro.core.compare.sweep_comparison import ShiftSide, SweepComparison
from pytest_repro.metrics._arguments import (
    check_finite_seed_values,
    check_fraction,
    check_real,
    compute_mean_and_std,
)


def compute_tail(t: float, degrees: float) -> float:
    """The probability that Student's t with *degrees* degrees of freedom exceeds *t*.

    ``I_x(degrees / 2, 1 / 2) / 2`` with ``x = degrees / (degrees + t²)`` for t above 0, where I is the
    regularized incomplete beta function (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964,
    26.7.1).
    """
    x, y = degrees / (degrees + t * t), t * t / (degrees + t * t)
    both = _compute_incomplete_beta(degrees / 2, 0.5, x, y) if math.isfinite(t) else 0.0
    return both / 2 if t > 0 else 1 - both / 2


def _compute_incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """I_x(a, b), where *y* is 1 - *x*, by its continued fraction (NIST DLMF, 8.17.22)."""
    if x > (a + 1) / (a + b + 2):  # beyond, it converges slowly
        return 1 - _compute_incomplete_beta(b, a, y, x)
    if x == 0:
        return 0.0
    value = 1.0
    for m in range(30 + int(3 * math.sqrt(a + b)), -1, -1):
        value = 1 + (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2)) / value
        value = 1 - (a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)) / value
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y)
    return math.exp(log) / (a * value)


@lru_cache(maxsize=256)
def solve_quantile(tail: float, degrees: float) -> float:
    """The t that Student's t exceeds with the probability *tail*, at most 0.5.

    By Newton's method from the quantile of a normal distribution, which is smaller: the tail is convex, so no
    step goes too far.
    """
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(math.pi * degrees) / 2
    t, step = -NormalDist().inv_cdf(tail), 1.0
    while step > 1e-12 * (1 + t):
        density = math.exp(scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))
        step = (compute_tail(t, degrees) - tail) / density
        t += step
    return t


_MIN_TRIMMED = 5  # fewer values are all kept: without two of four, two are left

_NORMAL_DEGREES = 1000
"""Degrees of freedom from which on the quantile is that of a normal distribution: 0.2 % smaller."""


_MAX_RATIO = 1e6  # std of the largest shift that counts as none: 10**13 seeds would find it


class _TrimmedMean(NamedTuple):
    n: int
    mean: float
    std: float  # of all values, ddof=1
    variance: float  # of the trimmed mean
    degrees: int


def compare_sweeps(
    values: Mapping[int, float],
    reference: Mapping[int, float],
    side: ShiftSide = "both",
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> SweepComparison:
    """Whether a headline value over seeds has shifted from that of an earlier sweep.

    The rule is that of MLPerf's reference convergence points: the "olympic" mean, without the smallest and
    the largest value (without a tenth at either end from 40 values on), and a one-sided t test of it at
    0.05 (``_find_min_acceptable_mean`` in mlperf_logging/rcp_checker/rcp_checker.py of
    github.com/mlcommons/logging). Of fewer than 5 values all are kept.

    That rule uses the std of the reference for both sides, without regard to trimming. This is Yuen's
    test, which estimates both (The two-sample trimmed t for unequal population variances, Biometrika 61,
    1974)::

        t = (trimmed mean - reference's) / √(d + reference's d),  d = (n - 1) s² / (h (h - 1))

    with h the number of kept values, s² the variance of the values after each trimmed one is replaced by
    the nearest kept one, and Welch's degrees of freedom of h - 1 on either side. Two sweeps of equal size
    that do not differ are found significant in 2 to 5 % of cases at 0.05, whether the values are normal,
    heavy-tailed or skewed; of different size and skewed in up to 9 % (simulated).

    Seeds are not paired: a change that moves every value within the scatter over seeds is no shift.

    Args:
        values: Seed → finite number, at least two.
        reference: The same of the earlier sweep; numbers and seeds may differ.
        side: ``lower`` if only a fall counts, as of an accuracy; ``upper`` if only a rise does, as of a
            loss; ``both``.
        alpha: The p up to which a shift is significant, between 0 and 0.5.
        power: Probability with which shifts are to be found, between 0.5 and 1.

    Raises:
        TypeError: A mapping is not one of integers to numbers.
        ValueError: There are fewer than two values, one is not finite, they are too large to subtract, or
            an argument is out of range.
    """
    _check_test(side, alpha, power)
    return _compare(_trim("values", values), _trim("reference", reference), side, alpha, power)


def _compare(
    here: _TrimmedMean, there: _TrimmedMean, side: ShiftSide, alpha: float, power: float
) -> SweepComparison:
    shift, variance = here.mean - there.mean, here.variance + there.variance
    if not math.isfinite(shift) or not math.isfinite(variance):
        raise ValueError("values and reference: expected numbers whose variance is finite")
    degrees = float(here.degrees + there.degrees)
    if variance:
        degrees = 1 / sum((each.variance / variance) ** 2 / each.degrees for each in (here, there))
    error = math.sqrt(variance)
    t = shift / error if error else math.copysign(math.inf, shift) if shift else 0.0
    std = math.sqrt((here.n * here.variance + there.n * there.variance) / 2)
    has_shift = abs(shift) > std / _MAX_RATIO
    return SweepComparison(
        here.n, here.mean, here.std, there.n, there.mean, there.std, shift, side,
        _compute_p(t, degrees, side), alpha,
        _sum_quantiles(degrees, side, alpha, power) * error,
        power,
        seeds_to_detect(abs(shift), std, side, alpha=alpha, power=power) if has_shift else None,
    )  # fmt: skip


def seeds_to_detect(
    shift: float, std: float, side: ShiftSide = "both", *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """The number of seeds, in either of two sweeps, that find a true shift significant.

    The smallest n with ``(t(alpha) + t(1 - power)) std √(2 / n) <= shift``, t the upper quantiles of
    Student's t (Bloom, Minimum detectable effects, Evaluation Review 19, 1995); with half of *alpha* for
    ``side="both"``: 17 for a shift of *std*, with ``side="lower"`` 14. Trimming costs power if there are few:
    5 seeds find their shift in 70 % of sweeps instead of 80 % (simulated).

    Args:
        shift: Size of the shift, above 0, in the unit of *std*.
        std: Standard deviation over seeds.
        side: As in :func:`compare_sweeps`.
        alpha: Probability of a false detection, between 0 and 0.5.
        power: Probability of detection, between 0.5 and 1.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.
    """
    _check_test(side, alpha, power)
    shift, std = check_real("shift", shift), check_real("std", std)
    if not (shift > 0 and std >= 0 and math.isfinite(shift) and std / shift <= _MAX_RATIO):
        limits = f"a shift above 0, and a std from 0 to {_MAX_RATIO:g} shifts"
        raise ValueError(f"shift={shift:g}, std={std:g}: expected {limits}")
    z = NormalDist().inv_cdf
    normal = z(1 - (alpha / 2 if side == "both" else alpha)) + z(power)
    exact = 2 * (normal * (std / shift)) ** 2
    if exact > _NORMAL_DEGREES:
        return math.ceil(exact)
    n = max(2, math.floor(exact))  # t quantiles are larger
    while _sum_quantiles(2 * (_count_remaining(n) - 1), side, alpha, power) * std * math.sqrt(2 / n) > shift:
        n += 1
    return n


def _check_test(side: str, alpha: float, power: float) -> None:
    if side not in get_args(ShiftSide):
        raise ValueError(f"side={side!r}: expected 'lower', 'upper' or 'both'")
    if check_fraction("alpha", alpha) >= 0.5 or check_fraction("power", power) < 0.5:
        raise ValueError(f"alpha={alpha:g}, power={power:g}: expected below 0.5, and 0.5 or more")


def _count_remaining(n: int) -> int:
    trimmed = 0 if n < _MIN_TRIMMED else 1 if n < 40 else n // 10
    return n - 2 * trimmed


def _trim(name: str, values: Mapping[int, float]) -> _TrimmedMean:
    numbers = check_finite_seed_values(name, values)
    n, ordered, kept = len(numbers), sorted(numbers.values()), _count_remaining(len(numbers))
    trimmed = (n - kept) // 2
    inside = ordered[trimmed : n - trimmed]
    mean, _ = compute_mean_and_std(inside)
    _, winsorized = compute_mean_and_std([inside[0]] * trimmed + inside + [inside[-1]] * trimmed)
    variance = (n - 1) * winsorized**2 / (kept * (kept - 1)) if winsorized < 1e150 else math.inf
    return _TrimmedMean(n, mean, compute_mean_and_std(ordered)[1], variance, kept - 1)


def _compute_p(t: float, degrees: float, side: ShiftSide) -> float:
    if side == "both":
        return min(1.0, 2 * compute_tail(abs(t), degrees))
    return compute_tail(-t if side == "lower" else t, degrees)


def _sum_quantiles(degrees: float, side: ShiftSide, alpha: float, power: float) -> float:
    """The smallest shift that is found with probability *power*, in standard errors."""
    tail = alpha / 2 if side == "both" else alpha
    if degrees >= _NORMAL_DEGREES:
        return -NormalDist().inv_cdf(tail) + NormalDist().inv_cdf(power)
    return solve_quantile(tail, degrees) + solve_quantile(1 - power, degrees)
