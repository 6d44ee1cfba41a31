"""Measures how two arrays differ, element by element, in one number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arrays import as_array


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
    wide = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    x, y = a[differ].astype(wide), b[differ].astype(wide)
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
