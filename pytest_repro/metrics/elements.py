"""How far two results are apart, element by element, in one number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arrays import as_array


def v_c(reference: object, other: object) -> float:
    """The count variability V_c: the share of elements that differ.

    ``(1 / D) Σ [a_i ≠ b_i]`` over the D elements (Shanmugavelu et al., Impacts of floating-point
    non-associativity on reproducibility for HPC and deep learning applications, SC-W 2024,
    arXiv:2408.05148). Values are compared, not bits: 0.0 equals -0.0, and a NaN equals a NaN.

    Args:
        reference: Numbers of any shape and dtype, one or more.
        other: Of the same shape.

    Returns:
        0 (equal) … 1; symmetric.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: They have different shapes, or no elements.
    """
    a, b = _read_pair(reference, other)
    return float(_find_unequal(a, b).mean())


def ermv(reference: object, other: object) -> float:
    """The elementwise relative mean absolute variation, ERMV.

    ``(1 / D) Σ |a_i - b_i| / |a_i|`` over the D elements, a the reference (Shanmugavelu et al.,
    Impacts of floating-point non-associativity on reproducibility for HPC and deep learning
    applications, SC-W 2024, arXiv:2408.05148). Elements that are equal count 0, zeros, infinities
    and NaN included; a reference of 0 makes it infinite where the other is not 0, and a NaN in one
    of them makes it NaN: look at :func:`v_c` then.

    Args:
        reference: Numbers of any shape and dtype, one or more.
        other: Of the same shape.

    Returns:
        0 … ∞, without a unit, calculated in float64; not symmetric.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: They have different shapes, or no elements.
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
        raise ValueError(
            f"reference has shape {a.shape}, other has {b.shape}: expected one shape, with elements"
        )
    return a, b


def _find_unequal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    differ: NDArray[np.bool_] = (a != b) & ~((a != a) & (b != b))
    return differ
