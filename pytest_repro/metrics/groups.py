"""Compares the spread over runs on parts of the data with that on all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arguments import format_percent
from pytest_repro.metrics._arrays import check_labels, to_python_scalar
from pytest_repro.metrics.predictions import check_predictions


@dataclass(frozen=True, slots=True)
class Spread:
    """A rate over runs, on a part of the data.

    Attributes:
        part: The class or subgroup; ``"overall"`` for all data.
        n: Number of items of the part: if few, one item changes the rate much.
        mean: Mean over the runs, 0 … 1.
        std: Standard deviation over the runs, ``ddof=1``.
        ratio: ``std`` divided by that of all data; None if that is 0.
    """

    part: object
    n: int
    mean: float
    std: float
    min: float
    max: float
    ratio: float | None

    @property
    def range(self) -> float:
        """``max - min``."""
        return self.max - self.min

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f", × {self.ratio:.2f}"
        mean, std, low, high = map(format_percent, (self.mean, self.std, self.min, self.max))
        return f"{self.part}: n {self.n}, mean {mean}, std {std}{ratio}, {low} to {high}"


@dataclass(frozen=True, slots=True)
class Spreads:
    """A rate over runs, on all data and on its parts.

    Attributes:
        rate: ``accuracy``, ``FPR`` or ``FNR``.
        runs: Number of runs.
        overall: On all items.
        parts: On each class or subgroup, sorted.
    """

    rate: str
    runs: int
    overall: Spread
    parts: tuple[Spread, ...]

    @property
    def widest(self) -> Spread:
        """The part with the largest std; the first of several."""
        return max(self.parts, key=lambda each: each.std)

    def __str__(self) -> str:
        return "\n".join(f"{self.rate} over {self.runs} runs, {each}" for each in (self.overall, *self.parts))


@dataclass(frozen=True, slots=True)
class SubgroupRates:
    """False-positive and false-negative rates over runs, by subgroup.

    Attributes:
        fpr: Share of the negatives that are predicted positive; only subgroups with a negative.
        fnr: Share of the positives that are predicted negative; only subgroups with a positive.
    """

    fpr: Spreads
    fnr: Spreads

    def __str__(self) -> str:
        return f"{self.fpr}\n{self.fnr}"


def class_spread(predictions: object, truth: object) -> Spreads:
    """The spread between runs of the accuracy on each class and on all items.

    The accuracy on all items may hardly change while that on a class does: for each class the std over
    the runs and its ratio to the overall std, as in Zhuang et al. (Randomness in Neural Network
    Training, MLSys 2022) and Pham et al. (Problems and Opportunities in Training Deep Learning
    Software Systems, ASE 2020). A class of few items has a large std for that reason alone.

    Args:
        predictions: Class labels of shape (runs, items), two runs or more; integers, bools, text.
        truth: The true labels, of shape (items,).

    Raises:
        TypeError: *predictions* or *truth* does not hold labels.
        ValueError: A shape does not fit, there are fewer than two runs, or the values are scores.

    Warns:
        ConstantModelWarning: A run predicts the same for every item.
    """
    runs = check_predictions(predictions)
    true = _check_truth(truth, runs)
    return _compute_spreads("accuracy", runs == true, true)


def subgroup_rates(predictions: object, truth: object, groups: object, positive: object = 1) -> SubgroupRates:
    """The spread between runs of false-positive and false-negative rates, by subgroup.

    FPR is the share of negatives predicted positive, FNR the share of positives predicted negative;
    for each subgroup their std over the runs and its ratio to the overall std, as in Zhuang et al.
    (Randomness in Neural Network Training, MLSys 2022).

    Args:
        predictions: Class labels of shape (runs, items), two runs or more.
        truth: The true labels, of shape (items,).
        groups: The subgroup of each item, of shape (items,): integers, bools, text.
        positive: The positive label; all others are negative.

    Raises:
        TypeError: An argument does not hold labels.
        ValueError: A shape does not fit, there are fewer than two runs, values are scores, or *truth*
            lacks positives or negatives.

    Warns:
        ConstantModelWarning: A run predicts the same for every item.
    """
    runs = check_predictions(predictions)
    true, member = _check_truth(truth, runs) == positive, _check_item_labels("groups", groups, runs)
    if not np.any(true) or np.all(true):
        raise ValueError(f"truth holds {'only' if np.any(true) else 'no'} {positive!r}: expected both kinds")
    wrong = (runs == positive) != true
    fpr = _compute_spreads("FPR", wrong[:, ~true], member[~true])
    return SubgroupRates(fpr, _compute_spreads("FNR", wrong[:, true], member[true]))


def _check_item_labels(name: str, value: object, runs: NDArray[Any]) -> NDArray[Any]:
    labels = check_labels(name, value, "items")
    if len(labels) != runs.shape[1]:
        raise ValueError(f"{name} has shape {labels.shape}: expected ({runs.shape[1]},) as in predictions")
    return labels


def _check_truth(value: object, runs: NDArray[Any]) -> NDArray[Any]:
    truth = _check_item_labels("truth", value, runs)
    if (truth.dtype.kind in "US") != (runs.dtype.kind in "US"):
        raise TypeError(f"truth has dtype {truth.dtype}, predictions {runs.dtype}: both text or neither")
    return truth


def _compute_spreads(rate: str, hits: NDArray[np.bool_], groups: NDArray[Any]) -> Spreads:
    """Spreads of *hits*, of shape (runs, items), over all items and over each of their *groups*."""
    whole = _compute_spread("overall", hits, None)
    parts = [_compute_spread(part, hits[:, groups == part], whole.std) for part in np.unique(groups)]
    return Spreads(rate, len(hits), whole, tuple(parts))


def _compute_spread(part: object, hits: NDArray[np.bool_], overall_std: float | None) -> Spread:
    counts = hits.sum(axis=1)  # the std of equal counts is exactly 0, that of equal shares may not be
    n = hits.shape[1]
    std = float(counts.std(ddof=1)) / n
    ratio = 1.0 if overall_std is None else std / overall_std if overall_std else None
    low, high = int(counts.min()) / n, int(counts.max()) / n
    ratio = ratio if std or overall_std else None
    return Spread(to_python_scalar(part), n, float(counts.mean()) / n, std, low, high, ratio)
