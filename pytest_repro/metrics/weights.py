"""Measures the distance between the weights of several runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arrays import as_array

_Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class WeightDistances:
    """Distances of the weights of several runs, over all pairs of runs.

    Attributes:
        runs: Number of runs.
        weights: Number of weights of a run.
        l2: Mean L2 distance, in the unit of the weights.
        l2_max: Largest L2 distance of a pair.
        l2_normalised: Mean L2 distance of the weights scaled to length 1: 0 … 2, about √2 if unrelated.
        l2_normalised_max: Largest such distance of a pair.
    """

    runs: int
    weights: int
    l2: float
    l2_max: float
    l2_normalised: float
    l2_normalised_max: float

    def __str__(self) -> str:
        return (
            f"L2 {self.l2:.4g} (at most {self.l2_max:.4g}), normalised {self.l2_normalised:.4g} (at most "
            f"{self.l2_normalised_max:.4g}; unrelated ≈ 1.41), {self.runs} runs × {self.weights} weights"
        )


def l2(runs: Collection[object]) -> float:
    """The mean L2 distance between the weights of two runs, over all pairs of runs.

    ``mean over i < j of ||w_i - w_j||``, w all weights of a run as one vector; used between training
    runs by Zhuang et al. (Randomness in Neural Network Training, MLSys 2022).

    Args:
        runs: The weights of two or more runs, each a module (its parameters, without buffers such as
            running statistics), a state dict (all its floating-point entries), a sequence of arrays, or
            an array. Any floating-point or complex dtype, equal shapes.

    Returns:
        In the unit of the weights, calculated in float64.

    Raises:
        TypeError: A run does not hold numbers.
        ValueError: There are fewer than two runs, no weights, other names or shapes than in the first
            run, or a weight that is not finite.
    """
    return _mean(_compute_pairwise_distances(_read_runs(runs), [1.0] * len(runs)))


def l2_normalised(runs: Collection[object]) -> float:
    """The mean L2 distance between the weights scaled to length 1, over all pairs of runs.

    ``mean over i < j of || w_i / ||w_i|| - w_j / ||w_j|| ||``, that is √(2 - 2 cos) of the angle
    between them: it does not grow with the size of a model.

    Args:
        runs: As for :func:`l2`.

    Returns:
        0 (equal up to a positive factor) … 2 (opposite); about √2 if unrelated.

    Raises:
        TypeError, ValueError: As :func:`l2`, also if all weights of a run are 0.
    """
    read = _read_runs(runs)
    return _mean(_compute_pairwise_distances(read, _compute_norms(read)))


def weight_distances(runs: Collection[object]) -> WeightDistances:
    """Both distances of the weights, mean and largest: see :func:`l2` and :func:`l2_normalised`.

    Raises:
        TypeError, ValueError: As :func:`l2_normalised`.
    """
    read = _read_runs(runs)
    plain = _compute_pairwise_distances(read, [1.0] * len(read))
    normalised = _compute_pairwise_distances(read, _compute_norms(read))
    count = sum(weights.size for weights in read[0].values())
    return WeightDistances(len(read), count, _mean(plain), max(plain), _mean(normalised), max(normalised))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _read_runs(runs: Collection[object]) -> list[_Weights]:
    if isinstance(runs, Mapping) or not hasattr(runs, "__len__"):
        raise TypeError(f"runs is a {type(runs).__qualname__}: expected a sequence of the weights of runs")
    if len(runs) < 2:
        raise ValueError(f"runs holds {len(runs)}: expected 2 or more")
    read = [_read_weights(f"runs[{i}]", run) for i, run in enumerate(runs)]
    for i, each in enumerate(read):
        _check_weights(f"runs[{i}]", each, read[0])
    return read


def _read_weights(name: str, run: Any) -> _Weights:
    if callable(getattr(run, "named_parameters", None)):
        run = dict(run.named_parameters())
    if isinstance(run, Mapping):
        arrays = {str(key): as_array(f"{name}[{key!r}]", value) for key, value in run.items()}
        # A state dict also holds counters.
        return {key: array for key, array in arrays.items() if array.dtype.kind in "fc"}
    parts = run if isinstance(run, (list, tuple)) else [run]
    return {str(i): as_array(f"{name}[{i}]", part) for i, part in enumerate(parts)}


def _check_weights(name: str, run: _Weights, first: _Weights) -> None:
    shapes, expected = ({key: each.shape for key, each in x.items()} for x in (run, first))
    if not any(each.size for each in run.values()):
        raise ValueError(f"{name} holds no weights: expected one or more")
    if shapes != expected:
        key = next(k for k in [*expected, *shapes] if shapes.get(k) != expected.get(k))
        actual, wanted = (f"shape {x[key]}" if key in x else "nothing" for x in (shapes, expected))
        raise ValueError(f"{name} has {actual} at {key!r}, runs[0] has {wanted}: expected the same")
    for key, each in run.items():
        if each.dtype.kind not in "biufc":
            raise TypeError(f"{name}[{key!r}] has dtype {each.dtype}: expected numbers")
        if not np.isfinite(each).all():
            raise ValueError(f"{name}[{key!r}] holds a NaN or an infinity: expected finite weights")


def _widen(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64).reshape(-1)


def _compute_norm(parts: Iterable[NDArray[Any]]) -> float:
    # Squares of numbers above 1e154 are infinite: each part is scaled by its largest number.
    return math.hypot(*map(_compute_part_norm, parts))


def _compute_part_norm(part: NDArray[Any]) -> float:
    largest = float(np.abs(part).max(initial=0.0))
    if not largest or not math.isfinite(largest):
        return largest
    scaled = part / largest
    return largest * math.sqrt(float(np.vdot(scaled, scaled).real))


def _compute_norms(runs: Sequence[_Weights]) -> list[float]:
    norms = [_compute_norm(map(_widen, run.values())) for run in runs]
    if 0 in norms:
        i = norms.index(0)
        raise ValueError(f"runs[{i}] holds only zeros, which have no direction: expected other weights")
    return norms


def _compute_pairwise_distances(runs: Sequence[_Weights], norms: Sequence[float]) -> list[float]:
    def difference(i: int, j: int) -> Callable[[str], NDArray[Any]]:
        return lambda key: _widen(runs[i][key]) / norms[i] - _widen(runs[j][key]) / norms[j]

    pairs = combinations(range(len(runs)), 2)
    return [_compute_norm(map(difference(i, j), runs[0])) for i, j in pairs]
