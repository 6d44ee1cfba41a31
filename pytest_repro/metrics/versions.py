"""Compares two versions by paired seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from pytest_repro.metrics._arguments import (
    check_bool,
    check_fraction,
    check_integer,
    check_real,
    check_seed_values,
    format_percent,
)
from pytest_repro.metrics.failures import binomial_cdf

_ROUNDING_FACTOR = 1 + 1e-9

VersionVerdict = Literal["significant and meaningful", "significant, not meaningful", "not significant"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether version A is better than version B.

    Attributes:
        n: Number of pairs.
        wins: Number of pairs in which A is better.
        ties: Number of equal pairs.
        p_better: Estimate of P(A > B); a tie counts half.
        low: Lower end of its bootstrap interval.
        high: Upper end.
        gamma: The P(A > B) from which on a difference is meaningful.
        confidence: Of the interval.
        seeds_needed: Number of unequal pairs at which a P(A > B) of *gamma* is found significant here 19
            times in 20: ``((z((1 + confidence) / 2) + z(0.95)) / (2 (gamma - 0.5)))²`` (Noether, Sample
            size determination for some common nonparametric tests, JASA 82, 1987, for the sign test);
            52 by default.
        sign_test_p: P of the one-sided sign test: of that many wins or more if the versions were equal.
    """

    n: int
    wins: int
    ties: int
    p_better: float
    low: float
    high: float
    gamma: float
    confidence: float
    verdict: VersionVerdict
    seeds_needed: int
    sign_test_p: float

    def __str__(self) -> str:
        # From so many unequal pairs on winning all of them is significant.
        least = math.ceil(-math.log2((1 - self.confidence) / 2 * _ROUNDING_FACTOR))
        unequal = self.n - self.ties
        few = f", {unequal} differ, fewer than {least} are never significant" if unequal < least else ""
        few += f", {self.seeds_needed} seeds needed" if self.n < self.seeds_needed else ""
        interval = f"{format_percent(self.confidence)} interval {self.low:.3f} to {self.high:.3f}"
        test = f"sign test {self.sign_test_p:.2g}, gamma {self.gamma:g} (n {self.n}{few})"
        losses = unequal - self.wins
        other = f"; B is better with {losses} of {self.n}: compare_versions(b, a) tests that"
        text = f"{self.verdict}: P(A > B) {self.p_better:.3f}, {interval}, {test}"
        return text + (other if losses > self.wins else "")


_Values = Mapping[int, float] | Sequence[float]


def compare_versions(
    a: _Values,
    b: _Values,
    gamma: float = 0.75,
    *,
    larger_is_better: bool = True,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Whether version A is better than version B, both run with the same seeds.

    P(A > B) is the share of seeds at which A is better, with its percentile bootstrap interval over
    the pairs. Verdicts (Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks,
    MLSys 2021): *not significant* if the interval includes 0.5; *significant, not meaningful* if it
    ends at or below *gamma*; else *significant and meaningful*. For B use ``compare_versions(b, a)``.

    With few pairs a percentile interval is too narrow: two wins of two have the interval 1 to 1, which
    two equal versions reach one time in four. So *significant* also needs the exact one-sided sign test
    without ties (Dixon and Mood, The statistical sign test, JASA 41, 1946): ``P(Binomial(wins + losses,
    0.5) >= wins) <= (1 - confidence) / 2``; at 0.95 at least 6 pairs that differ.

    Args:
        a: Values of A: seed → number, or a sequence in the order of the seeds.
        b: Values of B, for the same seeds.
        gamma: Between 0.5 and 1.
        larger_is_better: False for a loss.
        confidence: Of the two-sided interval, between 0 and 1.
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap; no global generator is moved.

    Raises:
        TypeError: A value is not a number, a seed not an integer, or only one argument is a mapping.
        ValueError: The seeds differ, there are fewer than two pairs, or an argument is out of range.
    """
    _check_above_half("gamma", gamma)
    larger = check_bool("larger_is_better", larger_is_better)
    tail = (1 - check_fraction("confidence", confidence)) / 2
    pairs = _pair_by_seed(a, b)
    n, ties = len(pairs), sum(x == y for x, y in pairs)
    wins = sum(x > y if larger else x < y for x, y in pairs)
    p_better, sign_p = (wins + ties / 2) / n, _compute_sign_test_p(wins, n - wins - ties)
    samples, seed = check_integer("resamples", resamples, 1), check_integer("seed", seed, 0)
    low, high = _bootstrap_interval(n, wins, ties, tail, samples, seed)
    verdict: VersionVerdict = "significant and meaningful" if high > gamma else "significant, not meaningful"
    if low <= 0.5 or sign_p > tail * _ROUNDING_FACTOR:
        verdict = "not significant"
    needed = _compute_sample_size(gamma, tail, 0.05, 4)
    return Comparison(n, wins, ties, p_better, low, high, gamma, confidence, verdict, needed, sign_p)


def _bootstrap_interval(n: int, wins: int, ties: int, tail: float, resamples: int, seed: int) -> list[float]:
    # Only the numbers of wins and ties in a resample matter, so draw these.
    shares = [wins / n, ties / n, (n - wins - ties) / n]
    counts = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    interval: list[float] = np.quantile((counts[:, 0] + counts[:, 1] / 2) / n, [tail, 1 - tail]).tolist()
    return interval


def _compute_sign_test_p(wins: int, losses: int) -> float:
    """The probability of *wins* or more if wins and losses were equally likely."""
    if wins > losses:
        return binomial_cdf(losses, wins + losses, 0.5)
    return 1 - binomial_cdf(wins - 1, wins + losses, 0.5) if wins else 1.0


def seeds_needed(gamma: float = 0.75, alpha: float = 0.05, beta: float = 0.05) -> int:
    """The number of pairs of runs needed to detect that P(A > B) is *gamma*.

    ``((z(1 - alpha) + z(1 - beta)) / (√6 (gamma - 0.5)))²``, rounded up, z the quantile of a standard
    normal (Noether, Sample size determination for some common nonparametric tests, JASA 82, 1987, as
    used by Bouthillier et al., MLSys 2021): 29 by default. This is for the one-sided Wilcoxon test;
    :attr:`Comparison.seeds_needed` is for the sign test.

    Args:
        gamma: P(A > B), between 0.5 and 1.
        alpha: Probability of a false detection, between 0 and 1.
        beta: Probability of a missed detection, between 0 and 1.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range, or *alpha* + *beta* is 1 or more.
    """
    _check_above_half("gamma", gamma)
    if check_fraction("alpha", alpha) + check_fraction("beta", beta) >= 1:
        raise ValueError(f"alpha={alpha:g}, beta={beta:g}: expected less than 1 together")
    return _compute_sample_size(gamma, alpha, beta, 6)


def _compute_sample_size(gamma: float, alpha: float, beta: float, weight: int) -> int:
    """The number of pairs; *weight* is 4 for the sign test, 6 for the Wilcoxon test."""
    z = NormalDist().inv_cdf
    return math.ceil((z(1 - alpha) + z(1 - beta)) ** 2 / (weight * (gamma - 0.5) ** 2))


def _check_above_half(name: str, value: float) -> None:
    if not 0.5 < check_real(name, value) < 1:
        raise ValueError(f"{name}={value:g}: expected a number between 0.5 and 1, neither included")


def _pair_by_seed(a: _Values, b: _Values) -> list[tuple[float, float]]:
    sized = all(hasattr(each, "__len__") and hasattr(each, "__iter__") for each in (a, b))
    if not sized or isinstance(a, Mapping) != isinstance(b, Mapping):
        raise TypeError("a and b: expected two mappings of seed to value, or two sequences")
    one = check_seed_values("a", a if isinstance(a, Mapping) else dict(enumerate(a)))
    two = check_seed_values("b", b if isinstance(b, Mapping) else dict(enumerate(b)))
    if unpaired := sorted(one.keys() ^ two.keys()):
        counts = f"a holds {len(a)}, b {len(b)}, and {unpaired[0]} is in one only"
        raise ValueError(f"{counts}: expected the same seeds")
    if len(one) < 2:
        raise ValueError(f"a holds {len(one)}: expected 2 or more")
    for seed in one:
        if math.isnan(one[seed]) or math.isnan(two[seed]):
            raise ValueError(f"a[{seed}] or b[{seed}] is NaN: expected numbers")
    return [(one[seed], two[seed]) for seed in one]
