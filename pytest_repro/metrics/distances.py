"""Measures how far arrays are apart element by element, and the weights of runs as vectors."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arrays import as_array

_Weights = dict[str, NDArray[Any]]


def v_c(reference: object, other: object) -> float:
    """The count variability V_c: the share of elements that differ.

    ``(1 / D) Σ [a_i ≠ b_i]`` over the D elements (Shanmugavelu et al., Impacts of floating-point
    non-associativity on reproducibility for HPC and deep learning applications, SC-W 2024,
    arXiv:2408.05148). Compares values, not bits: 0.0 equals -0.0, and a NaN equals a NaN.

    Args:
        reference: Numbers of any shape and dtype, one or more.
        other: Numbers of the same shape.

    Returns:
        0 (equal) … 1; symmetric.

    Raises:
        TypeError: An argument does not hold numbers.
        ValueError: The shapes differ, or there are no elements.
    """
    a, b = _read_pair(reference, other)
    return float(_find_unequal(a, b).mean())


def ermv(reference: object, other: object) -> float:
    """The elementwise relative mean absolute variation, ERMV.

    ``(1 / D) Σ |a_i - b_i| / |a_i|`` over the D elements, a the reference (Shanmugavelu et al., see
    :func:`v_c`). Equal elements count 0, also zeros, infinities and NaN. The result is infinite if the
    other is not 0 where the reference is, and NaN if only one is NaN: use :func:`v_c` then.

    Args:
        reference: Numbers of any shape and dtype, one or more.
        other: Numbers of the same shape.

    Returns:
        0 … ∞, calculated in float64; not symmetric.

    Raises:
        TypeError: An argument does not hold numbers.
        ValueError: The shapes differ, or there are no elements.
    """
    a, b = _read_pair(reference, other)
    differ = _find_unequal(a, b)
    x, y = _widen(a[differ]), _widen(b[differ])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return float((np.abs(x - y) / np.abs(x)).sum() / a.size)


def _read_pair(reference: object, other: object) -> tuple[NDArray[Any], NDArray[Any]]:
    a, b = as_array("reference", reference), as_array("other", other)
    for name, each in (("reference", a), ("other", b)):
        if each.dtype.kind not in "biufc":
            raise TypeError(f"{name} has dtype {each.dtype}: expected numbers")
    if a.shape != b.shape or not a.size:
        shapes = f"reference has shape {a.shape}, other has {b.shape}"
        raise ValueError(f"{shapes}: expected one shape, with elements")
    return a, b


def _find_unequal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    differ: NDArray[np.bool_] = (a != b) & ~((a != a) & (b != b))
    return differ


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
    return fmean(_compute_pairwise_distances(_read_runs(runs), [1.0] * len(runs)))


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
    return fmean(_compute_pairwise_distances(read, _compute_norms(read)))


def weight_distances(runs: Collection[object]) -> WeightDistances:
    """Both distances of the weights, mean and largest: see :func:`l2` and :func:`l2_normalised`.

    Raises:
        TypeError, ValueError: As :func:`l2_normalised`.
    """
    read = _read_runs(runs)
    plain = _compute_pairwise_distances(read, [1.0] * len(read))
    normalised = _compute_pairwise_distances(read, _compute_norms(read))
    count = sum(weights.size for weights in read[0].values())
    return WeightDistances(len(read), count, fmean(plain), max(plain), fmean(normalised), max(normalised))


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
    return math.hypot(*map(_compute_part_norm, parts))


def _compute_part_norm(part: NDArray[Any]) -> float:
    # Squares of numbers above 1e154 are infinite, so scaled by the largest.
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
    distances = []
    for (a, norm_a), (b, norm_b) in combinations(zip(runs, norms), 2):
        parts = (_widen(a[key]) / norm_a - _widen(b[key]) / norm_b for key in runs[0])
        distances.append(_compute_norm(parts))
    return distances
