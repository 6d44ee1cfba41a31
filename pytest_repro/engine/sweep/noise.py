"""The noise matrix: seeds free or fixed, deterministic algorithms off or on.

Zhuang et al. (Randomness in Neural Network Training, MLSys 2022) tell the noise of the algorithm
(seeds) from that of the implementation (kernels): ALGO+IMPL has both, ALGO and IMPL have one, CONTROL
has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import Any, NamedTuple

from pytest_repro.core.runs.run_summary import RunSummary
from pytest_repro.engine.sweep.run_summary import collect_shared_values
from pytest_repro.engine.sweep.sweep import compute_stabilities, summarize_sweep


class Variant(NamedTuple):
    """A row of the matrix.

    Attributes:
        name: As the paper has it.
        free_seeds: Whether each run has a seed of its own.
        deterministic: Whether deterministic algorithms are on.
    """

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
    """What the runs of one variant have shown; what cannot be told of them is None, or not there.

    Attributes:
        runs: Number of runs that passed; the others are left out of all that follows.
        failures: Of each run that did not pass: which it was, from 0, its seed, and why.
        distinct_results: Number of different results, by everything observed.
        churn: Mean share of predictions that two runs make differently; of several arrays, of that
            with the largest: labels beside them, which never change, must not hide it.
        std: Of each headline value, ``ddof=1``.
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
    """What the *runs* of one variant say together."""
    passed = [each for each in runs if each.outcome == "passed"]
    failed = tuple(
        (number, each.seed, each.error or each.outcome)
        for number, each in enumerate(runs)
        if each.outcome != "passed"
    )
    found = compute_stabilities(passed)
    return Noise(
        len(passed), failed, len({each.digest for each in passed}),
        max((each.churn for each in found.values()), default=None),
        _compute_headline_stds(passed), _compute_l2_normalised(passed),
        median(each.seconds for each in passed) if passed else None,
        tuple(name for name, each in found.items() if each.constant),
    )  # fmt: skip


def _compute_headline_stds(runs: Sequence[RunSummary]) -> dict[str, float]:
    # By the number of the run: of a fixed seed there are several.
    numbered = [_use_number_as_seed(number, each) for number, each in enumerate(runs)]
    return {name: each.std for name, each in summarize_sweep((), numbered, {}).headlines.items()}


def _use_number_as_seed(number: int, run: RunSummary) -> RunSummary:
    return RunSummary(number, run.outcome, "", 0.0, "", run.headlines, {}, {})


def _compute_l2_normalised(runs: Sequence[RunSummary]) -> float | None:
    from pytest_repro.metrics.weights import l2_normalised

    weights: dict[str, list[Any]] = collect_shared_values(runs, lambda run: run.weights)
    if len(runs) < 2 or sum(each[0].size for each in weights.values()) < 2:  # one number has no direction
        return None
    try:
        return l2_normalised([dict(zip(weights, each)) for each in zip(*weights.values())])
    except (TypeError, ValueError):  # other shapes, nothing finite, or zeros alone: nothing to tell
        return None


def list_headline_names(noise_by_variant: Mapping[str, Noise]) -> list[str]:
    """The names of headline values, in order."""
    return list(dict.fromkeys(chain.from_iterable(each.std for each in noise_by_variant.values())))
