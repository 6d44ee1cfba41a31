"""Compares the predictions of several runs, item by item."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arguments import format_list, format_percent
from pytest_repro.metrics._arrays import check_labels


class ConstantModelWarning(UserWarning):
    """A model predicts the same for every item: stable, but useless."""


@dataclass(frozen=True, slots=True)
class Stability:
    """How far the predictions of several runs agree.

    Attributes:
        runs: Number of runs.
        items: Number of items that each run predicts.
        churn: Mean share of items that two runs predict differently, over all pairs of runs.
        agreement: ``1 - churn``.
        largest: Largest share of a pair.
        pair: The pair with that share, runs from 0.
        unanimous: Share of items that all runs predict the same.
        constant: Runs that predict the same for every item, from 0.
    """

    runs: int
    items: int
    churn: float
    agreement: float
    largest: float
    pair: tuple[int, int]
    unanimous: float
    constant: tuple[int, ...]

    def __str__(self) -> str:
        shares = self.churn, self.agreement, self.largest, self.unanimous
        churn, agreement, largest, unanimous = map(format_percent, shares)
        text = f"churn {churn}, agreement {agreement} ({self.runs} runs × {self.items} items)"
        text += f", largest {largest} between runs {self.pair[0]} and {self.pair[1]}"
        text += f", all runs agree on {unanimous}"
        return text + (f", constant: runs {format_list(self.constant)}" if self.constant else "")


def disagreement(predictions: object) -> NDArray[np.float64]:
    """The share of items that two runs predict differently, for all pairs of runs.

    Args:
        predictions: Class labels of shape (runs, items), two runs or more; integers, bools, text.

    Returns:
        Float64 of shape (runs, runs), 0 … 1, symmetric, with zeros on the diagonal.

    Raises:
        TypeError: *predictions* does not hold labels.
        ValueError: *predictions* has another shape, fewer than two runs, or holds scores.

    Warns:
        ConstantModelWarning: A run predicts the same for every item.
    """
    runs = check_predictions(predictions)
    shares: NDArray[np.float64] = _count_disagreements(runs) / runs.shape[1]
    return shares


def churn(predictions: object) -> float:
    """The mean share of items that two runs predict differently, over all pairs of runs.

    ``mean over i < j of mean over x of [f_i(x) ≠ f_j(x)]``: for two models the churn of Milani Fard
    et al. (Launch and Iterate: Reducing Prediction Churn, NIPS 2016), over runs as in Zhuang et al.
    (Randomness in Neural Network Training, MLSys 2022). Not to be confused with its complement,
    :func:`agreement`.

    Args:
        predictions: As for :func:`disagreement`, which has the same warnings.

    Returns:
        0 (all runs predict the same) … 1.

    Raises:
        TypeError, ValueError: As :func:`disagreement`.
    """
    runs = check_predictions(predictions)
    return _compute_churn_and_agreement(runs, _count_disagreements(runs))[0]


def agreement(predictions: object) -> float:
    """``1 - churn``: the mean share of items that two runs predict the same; see :func:`churn`.

    Returns:
        0 … 1 (all runs predict the same).

    Raises:
        TypeError, ValueError: As :func:`disagreement`.
    """
    runs = check_predictions(predictions)
    return _compute_churn_and_agreement(runs, _count_disagreements(runs))[1]


def stability(predictions: object) -> Stability:
    """How far the predictions of several runs agree; see :func:`churn`.

    Raises:
        TypeError, ValueError: As :func:`disagreement`.
    """
    runs = check_predictions(predictions)
    counts, items = _count_disagreements(runs), runs.shape[1]
    first, second = (int(i) for i in np.unravel_index(counts.argmax(), counts.shape))
    if first == second:  # all agree
        second = 1
    unanimous = int((runs == runs[0]).all(axis=0).sum())
    return Stability(
        len(runs),
        items,
        *_compute_churn_and_agreement(runs, counts),
        largest=int(counts[first, second]) / items,
        pair=(first, second),
        unanimous=unanimous / items,
        constant=_find_constant_runs(runs),
    )


def check_predictions(predictions: object) -> NDArray[Any]:
    """Predictions as an array of (runs, items); warns of constant ones at the caller's caller."""
    runs = check_labels("predictions", predictions, "runs, items")
    if len(runs) < 2:
        raise ValueError(f"predictions has shape {runs.shape}: expected (runs, items) with 2 runs or more")
    if constant := _find_constant_runs(runs):
        numbers = format_list(constant)
        text = f"predictions of runs {numbers} are the same for every item: stable, but collapsed"
        warnings.warn(text, ConstantModelWarning, stacklevel=3)
    return runs


def _find_constant_runs(runs: NDArray[Any]) -> tuple[int, ...]:
    """The runs that predict the same for every item; none if there is only one item."""
    same = (runs == runs[:, :1]).all(axis=1) & (runs.shape[1] > 1)
    return tuple(int(i) for i in np.flatnonzero(same))


def _count_disagreements(runs: NDArray[Any]) -> NDArray[np.int64]:
    """The number of items that two runs predict differently, for all pairs of runs."""
    counts = np.zeros((len(runs), len(runs)), np.int64)
    for i, run in enumerate(runs):
        counts[i, i + 1 :] = counts[i + 1 :, i] = (runs[i + 1 :] != run).sum(axis=1)
    return counts


def _compute_churn_and_agreement(runs: NDArray[Any], counts: NDArray[np.int64]) -> tuple[float, float]:
    """Churn and agreement, from counts: a mean of shares may be 0.4000000000000001."""
    differing, total = int(counts.sum()), runs.shape[1] * len(runs) * (len(runs) - 1)
    return differing / total, (total - differing) / total
