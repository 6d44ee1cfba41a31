"""Whether one version is better than another, by paired seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from pytest_repro.metrics.checks import percent, real, share, whole

Said = Literal["significant and meaningful", "significant, not meaningful", "not significant"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether version A is better than version B.

    Attributes:
        n: Number of pairs.
        wins: Pairs in which A is better.
        ties: Pairs that are equal.
        p: Estimate of P(A > B), a tie counting half.
        low: Lower end of its bootstrap interval.
        high: Upper end.
        gamma: The P(A > B) from which on a difference means something.
        confidence: Of the interval.
        verdict: ``significant and meaningful``, ``significant, not meaningful``, ``not significant``.
        seeds_needed: Number of pairs to find a P(A > B) of *gamma*: see
            :func:`~pytest_repro.metrics.seeds_needed`.
    """

    n: int
    wins: int
    ties: int
    p: float
    low: float
    high: float
    gamma: float
    confidence: float
    verdict: Said
    seeds_needed: int

    def __str__(self) -> str:
        few = f", {self.seeds_needed} seeds needed" if self.n < self.seeds_needed else ""
        return (
            f"{self.verdict}: P(A > B) {self.p:.3f}, {percent(self.confidence)} interval {self.low:.3f} to "
            f"{self.high:.3f}, gamma {self.gamma:g} (n {self.n}{few})"
        )


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
    the pairs. Three verdicts (Bouthillier et al., Accounting for Variance in Machine Learning
    Benchmarks, MLSys 2021): *not significant* where the interval reaches down to 0.5; *significant,
    not meaningful* where it does not and ends at or below *gamma*; else *significant and meaningful*.
    Whether B is better is another question: ask ``compare_versions(b, a)``.

    Args:
        a: Values of A: a mapping of seed to value, or a sequence in the order of the seeds.
        b: Values of B, for the same seeds.
        gamma: Between 0.5 and 1.
        larger_is_better: False for a loss.
        confidence: Of the interval, two-sided, between 0 and 1.
        resamples: Of the bootstrap.
        seed: Of the bootstrap; no global generator is moved.

    Raises:
        TypeError: *a* or *b* hold what is no number, or one is a mapping and the other is not.
        ValueError: They have other seeds or lengths, fewer than two pairs, a NaN, or *gamma* or
            *confidence* is out of its range.
    """
    _between("gamma", gamma)
    missed = 1 - share("confidence", confidence)
    differences = [x - y if larger_is_better else y - x for x, y in _pairs(a, b)]
    n, wins = len(differences), sum(each > 0 for each in differences)
    ties = sum(each == 0 for each in differences)
    # Which pairs a resample holds does not matter, only how many of them are wins and ties.
    rng = np.random.default_rng(whole("seed", seed, 0))
    odds = [wins / n, ties / n, (n - wins - ties) / n]
    drawn = rng.multinomial(n, odds, size=whole("resamples", resamples, 1))
    low, high = np.quantile((drawn[:, 0] + drawn[:, 1] / 2) / n, [missed / 2, 1 - missed / 2])
    return Comparison(
        n, wins, ties, (wins + ties / 2) / n, float(low), float(high), gamma, confidence,
        _verdict(float(low), float(high), gamma), seeds_needed(gamma, missed),
    )  # fmt: skip


def _verdict(low: float, high: float, gamma: float) -> Said:
    if low <= 0.5:
        return "not significant"
    return "significant and meaningful" if high > gamma else "significant, not meaningful"


def seeds_needed(gamma: float = 0.75, alpha: float = 0.05, beta: float = 0.05) -> int:
    """The number of pairs of runs to find that P(A > B) is *gamma*.

    ``((z(1 - alpha) + z(1 - beta)) / (√6 (gamma - 0.5)))²``, rounded up, z the quantile of a standard
    normal (Noether, Sample size determination for some common nonparametric tests, JASA 82, 1987, as
    used by Bouthillier et al., MLSys 2021): 29 by default.

    Args:
        gamma: P(A > B), between 0.5 and 1.
        alpha: Probability to find it where it is not, between 0 and 1.
        beta: Probability not to find it where it is, between 0 and 1.

    Raises:
        TypeError: An argument is no number.
        ValueError: One is out of its range, or *alpha* and *beta* together 1 or more.
    """
    _between("gamma", gamma)
    z = NormalDist().inv_cdf
    sum_of_z = z(1 - share("alpha", alpha)) + z(1 - share("beta", beta))
    if sum_of_z <= 0:
        raise ValueError(f"alpha={alpha:g}, beta={beta:g}: together less than 1 is allowed")
    return math.ceil((sum_of_z / (math.sqrt(6) * (gamma - 0.5))) ** 2)


def _between(name: str, value: float) -> None:
    if not 0.5 < real(name, value) < 1:
        raise ValueError(f"{name}={value:g}: a number between 0.5 and 1 is allowed, neither included")


def _pairs(a: _Values, b: _Values) -> list[tuple[float, float]]:
    if isinstance(a, Mapping) != isinstance(b, Mapping):
        raise TypeError("a and b: two mappings of seed to value, or two sequences, are allowed")
    seeds = [list(each) if isinstance(each, Mapping) else list(range(len(each))) for each in (a, b)]
    if set(seeds[0]) != set(seeds[1]):
        odd = sorted(set(seeds[0]) ^ set(seeds[1]))[0]
        raise ValueError(
            f"a holds {len(a)}, b {len(b)}, and {odd} is in one only: the same seeds are allowed"
        )
    found = [(real(f"a[{i}]", a[i]), real(f"b[{i}]", b[i])) for i in seeds[0]]
    if len(found) < 2:
        raise ValueError(f"a holds {len(found)}: 2 or more are allowed")
    if odd_ones := [i for i, pair in zip(seeds[0], found) if any(map(math.isnan, pair))]:
        raise ValueError(f"a[{odd_ones[0]}] or b[{odd_ones[0]}] is NaN: numbers are allowed")
    return found
