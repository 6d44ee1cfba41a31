"""The noise matrix: seeds free or fixed, deterministic algorithms off or on.

Zhuang et al. (Randomness in Neural Network Training, MLSys 2022) separate the noise of the algorithm (seeds)
from that of the implementation (kernels): ALGO+IMPL has both, ALGO and IMPL have one, CONTROL has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import median
from typing import NamedTuple

from pytest_repro.core.runs.run import RunSummary
from pytest_repro.engine.sweep.sweep import (
    collect_shared_values,
    compute_headlines,
    compute_stabilities,
    group_headlines,
)


class Variant(NamedTuple):
    """A row of the matrix, with its name in the paper; with *free_seeds* each run has its own seed."""

    name: str
    free_seeds: bool
    deterministic: bool


VARIANTS = (
    Variant("ALGO+IMPL", True, False),
    Variant("ALGO", True, True),
    Variant("IMPL", False, False),
    Variant("CONTROL", False, True),
)


@dataclass(frozen=True, slots=True)
class Noise:
    """What the runs of one variant show; None, or absent, where it is undefined.

    Attributes:
        runs: Number of runs that passed; all else is computed from these.
        failures: Number (from 0), seed and error of each run that did not pass.
        distinct_results: Number of different results, over everything observed.
        churn: Mean share of predictions on which two runs disagree; of several arrays the largest, so that
            labels, which never change, do not hide it.
        std: Standard deviation of each headline value, ``ddof=1``.
        l2_normalised: Mean L2 distance of the weights of two runs, scaled to length 1.
        seconds: Median time of the body.
        constant_predictions: Names of predictions that are the same for every item, in a run.
    """

    runs: int
    failures: tuple[tuple[int, int, str], ...]
    distinct_results: int
    churn: float | None
    std: Mapping[str, float]
    l2_normalised: float | None
    seconds: float | None
    constant_predictions: tuple[str, ...]


def summarize_noise(runs: Sequence[RunSummary]) -> Noise:
    """Summarizes the *runs* of one variant."""
    passed = [each for each in runs if each.outcome == "passed"]
    failed = [(number, each) for number, each in enumerate(runs) if each.outcome != "passed"]
    found = compute_stabilities(passed)
    return Noise(
        len(passed),
        tuple((number, each.seed, each.error or each.outcome) for number, each in failed),
        len({each.digest for each in passed}),
        max((each.churn for each in found.values()), default=None),
        _compute_headline_stds(passed),
        _compute_l2_normalised(passed),
        median(each.seconds for each in passed) if passed else None,
        tuple(name for name, each in found.items() if each.constant),
    )


def _compute_headline_stds(runs: Sequence[RunSummary]) -> dict[str, float]:
    numbered = [replace(each, seed=number) for number, each in enumerate(runs)]  # a fixed seed has several
    return {name: each.std for name, each in compute_headlines(group_headlines(numbered)).items()}


def _compute_l2_normalised(runs: Sequence[RunSummary]) -> float | None:
    from pytest_repro.metrics.distances import l2_normalised

    weights = collect_shared_values([each.weights for each in runs])
    if sum(each[0].size for each in weights.values()) < 2:  # a single number has no direction
        return None
    try:
        return l2_normalised([dict(zip(weights, each)) for each in zip(*weights.values())])
    except (TypeError, ValueError):  # other shapes, nothing finite, or only zeros: undefined
        return None


def list_headline_names(noise_by_variant: Mapping[str, Noise]) -> list[str]:
    """Names of headline values, in order."""
    return list(dict.fromkeys(chain.from_iterable(each.std for each in noise_by_variant.values())))
