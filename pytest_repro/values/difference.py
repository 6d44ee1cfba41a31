"""Says how far two values are apart, block by block: two whole copies never exist.

On 256 MB of float32 of which half differs this takes 1 MB beside the values, where whole-array
numpy takes 2.6 GB.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.values.dtypes import (
    decode_numbers,
    format_element,
    itemsize,
    view_bits,
    view_bytes,
    view_float_bits,
)
from pytest_repro.values.spill_store import ValueBuffer

_BLOCK = 2**15
# Elements looked at together: the five temporaries of 128 KiB (float32) stay in the cache.

_SPARSE_FACTOR = 8
# Where fewer than an eighth of a block differ they are picked out first; else that costs more.


@dataclass(slots=True)
class _DifferenceTally:
    differing: int = 0
    outside: int = 0
    non_finite: int = 0
    ulp_counts: NDArray[Any] | None = None
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    first_index: int | None = None
    first_values: tuple[str, str] | None = None


def measure_difference(
    dtype: str,
    shape: tuple[int, ...],
    reference: ValueBuffer,
    other: Iterable[memoryview],
    tolerance: Tolerance,
    count_ulps: bool = False,
) -> Difference:
    """How far *other* is from *reference*.

    Args:
        dtype: dtype name by which the bytes are read: ``"float32"``, ``"bfloat16"``; ``""``
            for text.
        shape: Lengths of the axes, of both.
        reference: The reference's bytes in C order, little-endian.
        other: The other's bytes likewise, in pieces of whole elements.
        tolerance: Elements within it are not counted as ``outside``.
        count_ulps: Whether elements are counted by their distance in ulp, to draw them.
    """
    if dtype == "":
        return _measure_text_difference(reference, other)
    tally, size, at = (
        _DifferenceTally(ulp_counts=np.zeros(65, "i8") if count_ulps else None),
        itemsize(dtype),
        0,
    )
    with np.errstate(all="ignore"):
        for piece in other:
            flat = memoryview(piece).cast("B")
            for start in range(0, flat.nbytes, _BLOCK * size):
                block = flat[start : start + _BLOCK * size]
                _add_block(tally, dtype, at // size, reference[at : at + block.nbytes], block, tolerance)
                at += block.nbytes
    index = None if tally.first_index is None else _unravel_index(tally.first_index, shape)
    return Difference(
        tally.differing, at // size, tally.outside, tally.max_abs, tally.max_rel, tally.max_ulp,
        index, tally.first_values, tally.non_finite, _trim_counts(tally.ulp_counts),
    )  # fmt: skip


def _trim_counts(counts: NDArray[Any] | None) -> tuple[int, ...]:
    """The counts as far as there are any."""
    return () if counts is None else tuple(int(n) for n in np.trim_zeros(counts, "b"))


def _unravel_index(flat_index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat_index, shape)) if shape else ()


def _add_block(
    tally: _DifferenceTally, dtype: str, offset: int, a: memoryview, b: memoryview, tolerance: Tolerance
) -> None:
    left, right = view_bits(dtype, a), view_bits(dtype, b)
    unequal = left != right if left.ndim == 1 else (left != right).any(axis=1)
    count = int(np.count_nonzero(unequal))
    if not count:
        return
    tally.differing += count
    if tally.first_index is None:
        first = int(unequal.argmax())
        tally.first_index = offset + first
        tally.first_values = format_element(dtype, left[first]), format_element(dtype, right[first])
    if tally.ulp_counts is not None:
        _add_ulp_counts(tally.ulp_counts, dtype, left[unequal], right[unequal])
    few = count * _SPARSE_FACTOR < len(unequal)
    x, y = (left[unequal], right[unequal]) if few else (left, right)
    if _add_if_finite(tally, dtype, x, y, count, tolerance):
        _update_max_ulp(tally, dtype, x, y)
    else:
        _add_widened(tally, dtype, left[unequal], right[unequal], tolerance)


def _add_if_finite(
    tally: _DifferenceTally,
    dtype: str,
    left: NDArray[Any],
    right: NDArray[Any],
    count: int,
    tolerance: Tolerance,
) -> bool:
    """Adds the distances, in the dtype's own precision, if all of them can be told so.

    Elements that are equal do not disturb: their distance is 0.
    """
    x, y = decode_numbers(dtype, view_bytes(left)), decode_numbers(dtype, view_bytes(right))
    if x is None or y is None:
        tally.outside += count
        return True
    distance, size = _abs_difference(x, y), _magnitude(x)
    divisor = size if size.min() > 0 else np.where(size > 0, size, np.inf)
    max_abs, max_rel = distance.max(), (distance / divisor).max()
    if not math.isfinite(max_abs) or not math.isfinite(max_rel):
        return False
    beyond = (
        count
        if tolerance.exact
        else int(np.count_nonzero(distance > _compute_allowed_distance(size, tolerance)))
    )
    tally.outside += beyond
    tally.max_abs = _update_max(tally.max_abs, max_abs)
    tally.max_rel = _update_max(tally.max_rel, max_rel) if max_rel > 0 else tally.max_rel
    return True


def _compute_allowed_distance(magnitude: NDArray[Any], tolerance: Tolerance) -> NDArray[Any]:
    allowed: NDArray[Any] = magnitude * tolerance.rtol
    allowed += tolerance.atol
    return allowed


def _abs_difference(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    if x.dtype.kind in "iu":
        # Subtracting the smaller from the larger cannot overflow the unsigned type.
        high, low = np.maximum(x, y), np.minimum(x, y)
        unsigned: NDArray[Any] = high.astype("u8") - low.astype("u8")
        return unsigned.astype("f8")
    gap: NDArray[Any] = np.abs(np.subtract(y, x))
    return gap


def _magnitude(x: NDArray[Any]) -> NDArray[Any]:
    size: NDArray[Any] = np.abs(x.astype("f8") if x.dtype.kind in "iu" else x)
    return size


def _update_max(current: float | None, value: Any) -> float:
    """The larger one; what only a wider type could hold counts as the largest float64."""
    largest = min(float(value), sys.float_info.max)
    return largest if current is None else max(current, largest)


def _add_widened(
    tally: _DifferenceTally, dtype: str, left: NDArray[Any], right: NDArray[Any], tolerance: Tolerance
) -> None:
    """Adds elements of which some are not finite, or too far apart for their own precision."""
    x, y = _widen(decode_numbers(dtype, view_bytes(left))), _widen(decode_numbers(dtype, view_bytes(right)))
    finite = np.isfinite(x) & np.isfinite(y)
    tally.non_finite += int(finite.size - np.count_nonzero(finite))
    distance, size = _abs_difference(x, y), _magnitude(x)
    nonzero = finite & (size > 0)
    if finite.any():
        tally.max_abs = _update_max(tally.max_abs, distance[finite].max())
        _update_max_ulp(tally, dtype, left[finite], right[finite])
    if nonzero.any():
        tally.max_rel = _update_max(tally.max_rel, (distance[nonzero] / size[nonzero]).max())
    # Two NaNs, or two infinities of one sign, are as close as can be.
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    close = finite & (distance <= _compute_allowed_distance(size, tolerance)) | same
    tally.outside += x.size if tolerance.exact else int(x.size - np.count_nonzero(close))


def _widen(values: NDArray[Any] | None) -> NDArray[Any]:
    assert values is not None
    wider = {"f": "f8", "c": "c16"}.get(values.dtype.kind)
    return values.astype(wider) if wider and values.dtype.itemsize < np.dtype(wider).itemsize else values


def _update_max_ulp(tally: _DifferenceTally, dtype: str, left: NDArray[Any], right: NDArray[Any]) -> None:
    a, b = view_float_bits(dtype, view_bytes(left)), view_float_bits(dtype, view_bytes(right))
    if a is not None and b is not None:
        tally.max_ulp = max(tally.max_ulp or 0, int(_measure_ulps(a, b).max()))


def _add_ulp_counts(counts: NDArray[Any], dtype: str, left: NDArray[Any], right: NDArray[Any]) -> None:
    """Counts differing elements by the bits of their distance in ulp; those that are finite."""
    a, b = view_float_bits(dtype, view_bytes(left)), view_float_bits(dtype, view_bytes(right))
    x, y = decode_numbers(dtype, view_bytes(left)), decode_numbers(dtype, view_bytes(right))
    if a is None or b is None or x is None or y is None:
        return
    apart = _measure_ulps(a, b).reshape(len(left), -1).max(axis=1)[np.isfinite(x) & np.isfinite(y)]
    # Without the bits that follow another one, no float64 rounds up to the next power of two.
    lean = apart & ~(apart >> apart.dtype.type(1))
    counts += np.bincount(np.frexp(lean.astype("f8"))[1], minlength=len(counts))


def _measure_ulps(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Representable numbers between *a* and *b*: sign and magnitude, counted through zero."""
    sign = a.dtype.type(1 << (8 * a.dtype.itemsize - 1))
    apart: NDArray[Any] = np.maximum(a, b)
    apart -= np.minimum(a, b)
    opposite = (a ^ b) >= sign
    if opposite.any():
        apart[opposite] = (a[opposite] & ~sign) + (b[opposite] & ~sign)
    return apart


def _measure_text_difference(reference: ValueBuffer, other: Iterable[memoryview]) -> Difference:
    left, right = bytes(reference[:]), b"".join(bytes(piece) for piece in other)
    return Difference(
        1,
        1,
        1,
        first_index=(),
        first_values=(_quote_around_difference(left, right), _quote_around_difference(right, left)),
    )


def _quote_around_difference(text: bytes, other: bytes, width: int = 60) -> str:
    """*text* from a little before where it parts from *other*, shortened to *width*."""
    parted = next((i for i, (a, b) in enumerate(zip(text, other)) if a != b), min(len(text), len(other)))
    start = max(0, parted - 20)
    shown = repr(text[start : start + width].decode("utf-8", "backslashreplace"))
    before, after = "…" if start else "", "…" if len(text) > start + width else ""
    return f"{before}{shown}{after}"
