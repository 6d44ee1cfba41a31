"""How much more the runs differ on a part of the data than on the whole of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
        part: The class or subgroup; ``"overall"`` for the whole.
        n: Number of items that it is a rate of: with few, one item moves it far.
        mean: Over the runs, 0 … 1.
        std: Over the runs, ``ddof=1``.
        min: Smallest of a run.
        max: Largest of a run.
        ratio: ``std`` of this part over the overall one; None where that is 0.
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
        times = "" if self.ratio is None else f", × {self.ratio:.2f}"
        return (
            f"{self.part}: n {self.n}, mean {format_percent(self.mean)}, std {format_percent(self.std)}{times}, "
            f"{format_percent(self.min)} to {format_percent(self.max)}"
        )


@dataclass(frozen=True, slots=True)
class Spreads:
    """A rate over runs, on the whole of the data and on its parts.

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
    """False positives and false negatives over runs, by subgroup.

    Attributes:
        fpr: Share of the negatives that are predicted positive; subgroups with a negative only.
        fnr: Share of the positives that are predicted negative; subgroups with a positive only.
    """

    fpr: Spreads
    fnr: Spreads

    def __str__(self) -> str:
        return f"{self.fpr}\n{self.fnr}"


def class_spread(predictions: object, truth: object) -> Spreads:
    """How much the accuracy on each class differs between runs, beside that on all items.

    The accuracy on all items may hardly move where that on a class does: for each class the std over
    the runs and its ratio to the overall std, as in Zhuang et al. (Randomness in Neural Network
    Training, MLSys 2022) and Pham et al. (Problems and Opportunities in Training Deep Learning
    Software Systems, ASE 2020). A class of few items has a large std by that alone: its n is told.

    Args:
        predictions: Class labels of shape (runs, items), two runs or more; integers, bools, texts. One
            that *truth* does not hold is wrong.
        truth: The true labels, of shape (items,).

    Raises:
        TypeError: *predictions* or *truth* cannot be read as labels.
        ValueError: They have other shapes, there are fewer than two runs, or one holds scores.

    Warns:
        ConstantModelWarning: A run predicts the same for every item.
    """
    runs = check_predictions(predictions)
    true = _check_truth(truth, runs)
    return _compute_spreads("accuracy", runs == true, _iter_group_masks(true))


def subgroup_rates(predictions: object, truth: object, groups: object, positive: object = 1) -> SubgroupRates:
    """How much false-positive and false-negative rates differ between runs, by subgroup.

    FPR is the share of negatives predicted positive, FNR the share of positives predicted negative;
    for each subgroup their std over the runs and its ratio to the overall std, as in Zhuang et al.
    (Randomness in Neural Network Training, MLSys 2022).

    Args:
        predictions: Class labels of shape (runs, items), two runs or more; whatever is not *positive*
            is negative.
        truth: The true labels, of shape (items,).
        groups: The subgroup of each item, of shape (items,): integers, bools, texts.
        positive: The label that is positive.

    Raises:
        TypeError: An argument cannot be read as labels.
        ValueError: They have other shapes, there are fewer than two runs, one holds scores, or
            *truth* holds no positive, or nothing else.

    Warns:
        ConstantModelWarning: A run predicts the same for every item.
    """
    runs = check_predictions(predictions)
    true, member = _check_truth(truth, runs) == positive, _check_item_labels("groups", groups, runs)
    if not np.any(true) or np.all(true):
        raise ValueError(f"truth holds {'only' if np.any(true) else 'no'} {positive!r}: expected both kinds")
    wrong = (runs == positive) != true
    fpr = _compute_spreads("FPR", wrong[:, ~true], _iter_group_masks(member[~true]))
    return SubgroupRates(fpr, _compute_spreads("FNR", wrong[:, true], _iter_group_masks(member[true])))


def _check_item_labels(name: str, value: object, runs: NDArray[Any]) -> NDArray[Any]:
    found = check_labels(name, value, "items")
    if len(found) != runs.shape[1]:
        raise ValueError(f"{name} has shape {found.shape}: expected ({runs.shape[1]},) as in predictions")
    return found


def _check_truth(value: object, runs: NDArray[Any]) -> NDArray[Any]:
    found = _check_item_labels("truth", value, runs)
    if (found.dtype.kind in "US") != (runs.dtype.kind in "US"):
        raise TypeError(f"truth has dtype {found.dtype}, predictions {runs.dtype}: both texts or neither")
    return found


def _iter_group_masks(parts: NDArray[Any]) -> Iterator[tuple[object, NDArray[np.bool_]]]:
    for part in np.unique(parts):
        yield to_python_scalar(part), parts == part


def _compute_spreads(
    rate: str, hits: NDArray[np.bool_], group_masks: Iterable[tuple[object, NDArray[np.bool_]]]
) -> Spreads:
    """Of *hits* of (runs, items), over all items and over those of each part."""
    whole = _compute_spread("overall", hits, None)
    parts = tuple(_compute_spread(part, hits[:, inside], whole.std) for part, inside in group_masks)
    return Spreads(rate, len(hits), whole, parts)


def _compute_spread(part: object, hits: NDArray[np.bool_], overall_std: float | None) -> Spread:
    counts = hits.sum(axis=1)  # equal counts have a std of exactly 0, where equal shares may not
    n = hits.shape[1]
    std = float(counts.std(ddof=1)) / n
    ratio = 1.0 if overall_std is None else std / overall_std if overall_std else None
    low, high = int(counts.min()) / n, int(counts.max()) / n
    return Spread(part, n, float(counts.mean()) / n, std, low, high, ratio if std or overall_std else None)
