"""Measures the difference between two values block by block, without copying them as a whole.

For 256 MB of float32 of which half differs this needs 1 MB beside the values; numpy on whole arrays needs
2.6 GB.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.compare.mismatch import Difference
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
# Elements per block: five temporaries of 128 KiB (float32) stay in the cache.

_SPARSE_FACTOR = 8
# Differing elements are selected first if fewer than 1/8 of a block; else selecting costs more.


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
    """Measures how *other* differs from *reference*.

    Args:
        dtype: Name of the dtype: ``"float32"``, ``"bfloat16"``; ``""`` for text.
        shape: Shape of both.
        reference: Bytes in C order, little-endian.
        other: Bytes in C order, little-endian, in pieces of whole elements.
        tolerance: Elements within it are not counted as outside.
        count_ulps: Whether to count elements by their distance in ulp, for a histogram.
    """
    if dtype == "":
        return _measure_text_difference(reference, other)
    tally = _DifferenceTally(ulp_counts=np.zeros(65, "i8") if count_ulps else None)
    size, offset = itemsize(dtype), 0
    with np.errstate(all="ignore"):
        for piece in other:
            flat = memoryview(piece).cast("B")
            for start in range(0, flat.nbytes, _BLOCK * size):
                block = flat[start : start + _BLOCK * size]
                left = reference[offset : offset + block.nbytes]
                _add_block(tally, dtype, offset // size, left, block, tolerance)
                offset += block.nbytes
    index = None if tally.first_index is None else _unravel_index(tally.first_index, shape)
    maxima, counts = (tally.max_abs, tally.max_rel, tally.max_ulp), _trim_counts(tally.ulp_counts)
    sizes = tally.differing, offset // size, tally.outside
    return Difference(*sizes, *maxima, index, tally.first_values, tally.non_finite, counts)


def _trim_counts(counts: NDArray[Any] | None) -> tuple[int, ...]:
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
    sparse = count * _SPARSE_FACTOR < len(unequal)
    x, y = (left[unequal], right[unequal]) if sparse else (left, right)
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
    """Adds the distances in the precision of the dtype; returns False if some are not finite in it.

    Equal elements may be included: their distance is 0.
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
    outside = (
        0 if tolerance.exact else np.count_nonzero(distance > _compute_allowed_distance(size, tolerance))
    )
    tally.outside += count if tolerance.exact else int(outside)
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
    distance: NDArray[Any] = np.abs(np.subtract(y, x))
    return distance


def _magnitude(x: NDArray[Any]) -> NDArray[Any]:
    size: NDArray[Any] = np.abs(x.astype("f8") if x.dtype.kind in "iu" else x)
    return size


def _update_max(current: float | None, value: Any) -> float:
    """The larger one; what only a wider type holds counts as the largest float64."""
    largest = min(float(value), sys.float_info.max)
    return largest if current is None else max(current, largest)


def _add_widened(
    tally: _DifferenceTally, dtype: str, left: NDArray[Any], right: NDArray[Any], tolerance: Tolerance
) -> None:
    """Adds elements that are not finite, or too far apart for their own precision."""
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
    # Two NaNs, or two infinities of the same sign, are equal.
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
    """Counts finite differing elements by the bit length of their distance in ulp."""
    a, b = view_float_bits(dtype, view_bytes(left)), view_float_bits(dtype, view_bytes(right))
    x, y = decode_numbers(dtype, view_bytes(left)), decode_numbers(dtype, view_bytes(right))
    if a is None or b is None or x is None or y is None:
        return
    ulps = _measure_ulps(a, b).reshape(len(left), -1).max(axis=1)[np.isfinite(x) & np.isfinite(y)]
    # Without bits that follow a set bit, float64 does not round up to the next power of two.
    sparse_bits = ulps & ~(ulps >> ulps.dtype.type(1))
    counts += np.bincount(np.frexp(sparse_bits.astype("f8"))[1], minlength=len(counts))


def _measure_ulps(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Representable numbers between *a* and *b*, from sign and magnitude, counted through zero."""
    sign = a.dtype.type(1 << (8 * a.dtype.itemsize - 1))
    ulps: NDArray[Any] = np.maximum(a, b)
    ulps -= np.minimum(a, b)
    opposite = (a ^ b) >= sign
    if opposite.any():
        ulps[opposite] = (a[opposite] & ~sign) + (b[opposite] & ~sign)
    return ulps


def _measure_text_difference(reference: ValueBuffer, other: Iterable[memoryview]) -> Difference:
    left, right = bytes(reference[:]), b"".join(bytes(piece) for piece in other)
    quotes = _quote_around_difference(left, right), _quote_around_difference(right, left)
    return Difference(1, 1, 1, first_index=(), first_values=quotes)


def _quote_around_difference(text: bytes, other: bytes, width: int = 60) -> str:
    """*text* from shortly before its first difference to *other*, up to *width*."""
    first = next((i for i, (a, b) in enumerate(zip(text, other)) if a != b), min(len(text), len(other)))
    start = max(0, first - 20)
    quote = repr(text[start : start + width].decode("utf-8", "backslashreplace"))
    before, after = "…" if start else "", "…" if len(text) > start + width else ""
    return f"{before}{quote}{after}"
