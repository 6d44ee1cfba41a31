"""Measures the difference between two values block by block, without copying them as a whole.

For 256 MB of float32 of which half differs this needs 1 MB beside the values; numpy on whole arrays needs
2.6 GB.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.compare.mismatch import ELEMENTS_KEPT, Difference
from pytest_repro.core.plan.plan import Tolerance
from pytest_repro.core.runs.observation import ELEMENT_DTYPES
from pytest_repro.values.dtypes import decode_numbers, format_elements, itemsize, view_bits, view_float_bits
from pytest_repro.values.elements import measure_element_difference
from pytest_repro.values.places import PlaceCounter
from pytest_repro.values.spill_store import ValueBuffer

_BLOCK = 2**15
# Elements per block: five temporaries of 128 KiB (float32) stay in the cache.

_SPARSE_FACTOR = 8
# Differing elements are selected first if fewer than 1/8 of a block; else selecting costs more.


def measure_difference(
    dtype: str,
    shape: tuple[int, ...],
    reference: ValueBuffer,
    other: Iterable[memoryview],
    tolerance: Tolerance,
    for_plots: bool = False,
) -> Difference:
    """Measures how *other* differs from *reference*, both in C order and little-endian.

    Args:
        dtype: Name of the dtype: ``"float32"``, ``"bfloat16"``.
        other: Bytes in pieces of whole elements.
        tolerance: Elements within it are not counted as outside.
        for_plots: Whether to count differing elements by their distance in ulp and by their place.
    """
    if dtype in ELEMENT_DTYPES:
        return measure_element_difference(dtype, shape, reference[:], other)
    tally = _Tally(dtype, tolerance, np.zeros(65, "i8") if for_plots else None)
    if tally.ulp_counts is not None and shape and 0 not in shape:
        tally.places = PlaceCounter(shape)
    with np.errstate(all="ignore"):
        for left, right in _iter_blocks((dtype, dtype), reference, other):
            tally.add(view_bits(dtype, left), view_bits(dtype, right))
    return tally.to_difference(shape)


def measure_cross_dtype_difference(
    dtypes: tuple[str, str],
    shape: tuple[int, ...],
    reference: ValueBuffer,
    other: Iterable[memoryview],
    tolerance: Tolerance,
) -> Difference:
    """As :func:`measure_difference`, between two dtypes of numbers: as float64 or complex128, no ulps."""
    wide = "complex128" if any(dtype.startswith("complex") for dtype in dtypes) else "float64"
    tally = _Tally(wide, tolerance)
    with np.errstate(all="ignore"):
        for blocks in _iter_blocks(dtypes, reference, other):
            left, right = (decode_numbers(dtype, block) for dtype, block in zip(dtypes, blocks))
            tally.add(*(view_bits(wide, np.ascontiguousarray(each, dtype=wide)) for each in (left, right)))
    return replace(tally.to_difference(shape), max_ulp=None)


def _iter_blocks(
    dtypes: tuple[str, str], reference: ValueBuffer, other: Iterable[memoryview]
) -> Iterator[tuple[memoryview, memoryview]]:
    """The bytes of the same elements of both, block by block."""
    left_size, right_size = map(itemsize, dtypes)
    done = 0
    for piece in other:
        flat = memoryview(piece).cast("B")
        for start in range(0, flat.nbytes, _BLOCK * right_size):
            right = flat[start : start + _BLOCK * right_size]
            stop = done + right.nbytes // right_size
            yield reference[done * left_size : stop * left_size], right
            done = stop


@dataclass(slots=True)
class _Tally:
    """Counts and maxima over blocks; elements are given as by :func:`view_bits`."""

    dtype: str
    tolerance: Tolerance
    ulp_counts: NDArray[Any] | None = None
    places: PlaceCounter | None = None
    total: int = 0
    differing: int = 0
    outside: int = 0
    non_finite: int = 0
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    first: list[tuple[int, str, str]] = field(default_factory=list)

    def to_difference(self, shape: tuple[int, ...]) -> Difference:
        first = self.first[0] if self.first else None
        index = None if first is None else tuple(int(i) for i in np.unravel_index(first[0], shape))
        counts = () if self.ulp_counts is None else tuple(np.trim_zeros(self.ulp_counts, "b").tolist())
        sizes = self.differing, self.total, self.outside
        maxima = self.max_abs, self.max_rel, self.max_ulp
        places = () if self.places is None else tuple(map(tuple, self.places.counts.tolist()))
        found = Difference(*sizes, *maxima, index, first and first[1:], self.non_finite, counts, places)
        return replace(found, first_elements=tuple(self.first))

    def add(self, left: NDArray[Any], right: NDArray[Any]) -> None:
        unequal = left != right if left.ndim == 1 else (left != right).any(axis=1)
        count = int(np.count_nonzero(unequal))
        if count and len(self.first) < ELEMENTS_KEPT:
            places = np.flatnonzero(unequal)[: ELEMENTS_KEPT - len(self.first)]
            texts = (format_elements(self.dtype, each[places]) for each in (left, right))
            self.first += zip((self.total + places).tolist(), *texts)
        if count and self.places is not None:
            self.places.add(self.total + np.flatnonzero(unequal))
        self.total += len(unequal)
        self.differing += count
        if not count:
            return
        if self.ulp_counts is not None:
            self._add_ulp_counts(self.ulp_counts, left[unequal], right[unequal])
        sparse = count * _SPARSE_FACTOR < len(unequal)
        x, y = (left[unequal], right[unequal]) if sparse else (left, right)
        if self._add_if_finite(x, y, count):
            self._update_max_ulp(x, y)
        else:
            self._add_widened(left[unequal], right[unequal])

    def _add_if_finite(self, left: NDArray[Any], right: NDArray[Any], count: int) -> bool:
        """Adds the distances in the precision of the dtype; returns False if some are not finite in it.

        Equal elements may be included: their distance is 0.
        """
        x, y = decode_numbers(self.dtype, left), decode_numbers(self.dtype, right)
        if x is None or y is None:
            self.outside += count
            return True
        distance, size = _abs_difference(x, y), _magnitude(x)
        divisor = size if size.min() > 0 else np.where(size > 0, size, np.inf)
        max_abs, max_rel = distance.max(), (distance / divisor).max()
        if not math.isfinite(max_abs) or not math.isfinite(max_rel):
            return False
        exact = self.tolerance.exact
        self.outside += count if exact else int(np.count_nonzero(distance > self._compute_allowed(size)))
        self.max_abs = _update_max(self.max_abs, max_abs)
        self.max_rel = _update_max(self.max_rel, max_rel) if max_rel > 0 else self.max_rel
        return True

    def _add_widened(self, left: NDArray[Any], right: NDArray[Any]) -> None:
        """Adds elements that are not finite, or too far apart for their own precision."""
        x, y = _widen(decode_numbers(self.dtype, left)), _widen(decode_numbers(self.dtype, right))
        finite = np.isfinite(x) & np.isfinite(y)
        self.non_finite += int(finite.size - np.count_nonzero(finite))
        distance, size = _abs_difference(x, y), _magnitude(x)
        nonzero = finite & (size > 0)
        if finite.any():
            self.max_abs = _update_max(self.max_abs, distance[finite].max())
            self._update_max_ulp(left[finite], right[finite])
        if nonzero.any():
            self.max_rel = _update_max(self.max_rel, (distance[nonzero] / size[nonzero]).max())
        # Two NaNs, or two infinities of the same sign, are equal.
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        close = finite & (distance <= self._compute_allowed(size)) | same
        self.outside += x.size if self.tolerance.exact else int(x.size - np.count_nonzero(close))

    def _compute_allowed(self, magnitude: NDArray[Any]) -> NDArray[Any]:
        allowed: NDArray[Any] = magnitude * self.tolerance.rtol
        allowed += self.tolerance.atol
        return allowed

    def _update_max_ulp(self, left: NDArray[Any], right: NDArray[Any]) -> None:
        a, b = view_float_bits(self.dtype, left), view_float_bits(self.dtype, right)
        if a is not None and b is not None:
            self.max_ulp = max(self.max_ulp or 0, int(_measure_ulps(a, b).max()))

    def _add_ulp_counts(self, counts: NDArray[Any], left: NDArray[Any], right: NDArray[Any]) -> None:
        """Counts finite differing elements by the bit length of their distance in ulp."""
        a, b = view_float_bits(self.dtype, left), view_float_bits(self.dtype, right)
        x, y = decode_numbers(self.dtype, left), decode_numbers(self.dtype, right)
        if a is None or b is None or x is None or y is None:
            return
        ulps = _measure_ulps(a, b).reshape(len(left), -1).max(axis=1)[np.isfinite(x) & np.isfinite(y)]
        # Without bits that follow a set bit, float64 does not round up to the next power of two.
        sparse_bits = ulps & ~(ulps >> ulps.dtype.type(1))
        counts += np.bincount(np.frexp(sparse_bits.astype("f8"))[1], minlength=len(counts))


def _abs_difference(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    if x.dtype.kind in "iu":
        # Subtracting the smaller from the larger cannot overflow the unsigned type.
        unsigned: NDArray[Any] = np.maximum(x, y).astype("u8") - np.minimum(x, y).astype("u8")
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


def _widen(values: NDArray[Any] | None) -> NDArray[Any]:
    assert values is not None
    wider = {"f": "f8", "c": "c16"}.get(values.dtype.kind)
    return values.astype(wider) if wider and values.dtype.itemsize < np.dtype(wider).itemsize else values


def _measure_ulps(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Representable numbers between *a* and *b*, from sign and magnitude, counted through zero."""
    sign = a.dtype.type(1 << (8 * a.dtype.itemsize - 1))
    ulps: NDArray[Any] = np.maximum(a, b)
    ulps -= np.minimum(a, b)
    opposite = (a ^ b) >= sign
    if opposite.any():
        ulps[opposite] = (a[opposite] & ~sign) + (b[opposite] & ~sign)
    return ulps
