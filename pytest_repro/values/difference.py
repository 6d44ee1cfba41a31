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
from pytest_repro.values.dtypes import bits_of, codes, float_codes, itemsize, numbers, shown
from pytest_repro.values.spill_store import Kept

_BLOCK = 2**15
# Elements looked at together: the five temporaries of 128 KiB (float32) stay in the cache.

_FEW = 8
# Where fewer than an eighth of a block differ they are picked out first; else that costs more.


@dataclass(slots=True)
class _Tally:
    differing: int = 0
    outside: int = 0
    non_finite: int = 0
    bits: NDArray[Any] | None = None
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    first: int | None = None
    first_values: tuple[str, str] | None = None


def difference(
    element: str,
    shape: tuple[int, ...],
    reference: Kept,
    other: Iterable[memoryview],
    tolerance: Tolerance,
    counted: bool = False,
) -> Difference:
    """How far *other* is from *reference*.

    Args:
        element: dtype name by which the bytes are read: ``"float32"``, ``"bfloat16"``; ``""``
            for text.
        shape: Lengths of the axes, of both.
        reference: The reference's bytes in C order, little-endian.
        other: The other's bytes likewise, in pieces of whole elements.
        tolerance: Elements within it are not counted as ``outside``.
        counted: Whether elements are counted by their distance in ulp, to draw them.
    """
    if element == "":
        return _text_difference(reference, other)
    tally, size, at = _Tally(bits=np.zeros(65, "i8") if counted else None), itemsize(element), 0
    with np.errstate(all="ignore"):
        for piece in other:
            flat = memoryview(piece).cast("B")
            for start in range(0, flat.nbytes, _BLOCK * size):
                block = flat[start : start + _BLOCK * size]
                _add(tally, element, at // size, reference[at : at + block.nbytes], block, tolerance)
                at += block.nbytes
    index = None if tally.first is None else _index(tally.first, shape)
    return Difference(
        tally.differing, at // size, tally.outside, tally.max_abs, tally.max_rel, tally.max_ulp,
        index, tally.first_values, tally.non_finite, _filled(tally.bits),
    )  # fmt: skip


def _filled(bits: NDArray[Any] | None) -> tuple[int, ...]:
    """The counts as far as there are any."""
    return () if bits is None else tuple(int(n) for n in np.trim_zeros(bits, "b"))


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()


def _add(tally: _Tally, element: str, at: int, a: memoryview, b: memoryview, tolerance: Tolerance) -> None:
    left, right = codes(element, a), codes(element, b)
    unequal = left != right if left.ndim == 1 else (left != right).any(axis=1)
    count = int(np.count_nonzero(unequal))
    if not count:
        return
    tally.differing += count
    if tally.first is None:
        first = int(unequal.argmax())
        tally.first = at + first
        tally.first_values = shown(element, left[first]), shown(element, right[first])
    if tally.bits is not None:
        _add_bits(tally.bits, element, left[unequal], right[unequal])
    few = count * _FEW < len(unequal)
    x, y = (left[unequal], right[unequal]) if few else (left, right)
    if _add_finite(tally, element, x, y, count, tolerance):
        _add_ulps(tally, element, x, y)
    else:
        _add_any(tally, element, left[unequal], right[unequal], tolerance)


def _add_finite(
    tally: _Tally, element: str, left: NDArray[Any], right: NDArray[Any], count: int, tolerance: Tolerance
) -> bool:
    """Adds the distances, in the dtype's own precision, if all of them can be told so.

    Elements that are equal do not disturb: their distance is 0.
    """
    x, y = numbers(element, bits_of(left)), numbers(element, bits_of(right))
    if x is None or y is None:
        tally.outside += count
        return True
    distance, size = _distance(x, y), _magnitude(x)
    divisor = size if size.min() > 0 else np.where(size > 0, size, np.inf)
    max_abs, max_rel = distance.max(), (distance / divisor).max()
    if not math.isfinite(max_abs) or not math.isfinite(max_rel):
        return False
    beyond = count if tolerance.exact else int(np.count_nonzero(distance > _allowed(size, tolerance)))
    tally.outside += beyond
    tally.max_abs = _larger(tally.max_abs, max_abs)
    tally.max_rel = _larger(tally.max_rel, max_rel) if max_rel > 0 else tally.max_rel
    return True


def _allowed(size: NDArray[Any], tolerance: Tolerance) -> NDArray[Any]:
    allowed: NDArray[Any] = size * tolerance.rtol
    allowed += tolerance.atol
    return allowed


def _distance(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
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


def _larger(so_far: float | None, value: Any) -> float:
    """The larger one; what only a wider type could hold counts as the largest float64."""
    largest = min(float(value), sys.float_info.max)
    return largest if so_far is None else max(so_far, largest)


def _add_any(
    tally: _Tally, element: str, left: NDArray[Any], right: NDArray[Any], tolerance: Tolerance
) -> None:
    """Adds elements of which some are not finite, or too far apart for their own precision."""
    x, y = _wide(numbers(element, bits_of(left))), _wide(numbers(element, bits_of(right)))
    finite = np.isfinite(x) & np.isfinite(y)
    tally.non_finite += int(finite.size - np.count_nonzero(finite))
    distance, size = _distance(x, y), _magnitude(x)
    nonzero = finite & (size > 0)
    if finite.any():
        tally.max_abs = _larger(tally.max_abs, distance[finite].max())
        _add_ulps(tally, element, left[finite], right[finite])
    if nonzero.any():
        tally.max_rel = _larger(tally.max_rel, (distance[nonzero] / size[nonzero]).max())
    # Two NaNs, or two infinities of one sign, are as close as can be.
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    close = finite & (distance <= _allowed(size, tolerance)) | same
    tally.outside += x.size if tolerance.exact else int(x.size - np.count_nonzero(close))


def _wide(values: NDArray[Any] | None) -> NDArray[Any]:
    assert values is not None
    wider = {"f": "f8", "c": "c16"}.get(values.dtype.kind)
    return values.astype(wider) if wider and values.dtype.itemsize < np.dtype(wider).itemsize else values


def _add_ulps(tally: _Tally, element: str, left: NDArray[Any], right: NDArray[Any]) -> None:
    a, b = float_codes(element, bits_of(left)), float_codes(element, bits_of(right))
    if a is not None and b is not None:
        tally.max_ulp = max(tally.max_ulp or 0, int(_steps(a, b).max()))


def _add_bits(bits: NDArray[Any], element: str, left: NDArray[Any], right: NDArray[Any]) -> None:
    """Counts differing elements by the bits of their distance in ulp; those that are finite."""
    a, b = float_codes(element, bits_of(left)), float_codes(element, bits_of(right))
    x, y = numbers(element, bits_of(left)), numbers(element, bits_of(right))
    if a is None or b is None or x is None or y is None:
        return
    apart = _steps(a, b).reshape(len(left), -1).max(axis=1)[np.isfinite(x) & np.isfinite(y)]
    # Without the bits that follow another one, no float64 rounds up to the next power of two.
    lean = apart & ~(apart >> apart.dtype.type(1))
    bits += np.bincount(np.frexp(lean.astype("f8"))[1], minlength=len(bits))


def _steps(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Representable numbers between *a* and *b*: sign and magnitude, counted through zero."""
    sign = a.dtype.type(1 << (8 * a.dtype.itemsize - 1))
    apart: NDArray[Any] = np.maximum(a, b)
    apart -= np.minimum(a, b)
    opposite = (a ^ b) >= sign
    if opposite.any():
        apart[opposite] = (a[opposite] & ~sign) + (b[opposite] & ~sign)
    return apart


def _text_difference(reference: Kept, other: Iterable[memoryview]) -> Difference:
    left, right = bytes(reference[:]), b"".join(bytes(piece) for piece in other)
    return Difference(1, 1, 1, first_index=(), first_values=(_quoted(left, right), _quoted(right, left)))


def _quoted(text: bytes, beside: bytes, width: int = 60) -> str:
    """*text* from a little before where it parts from *beside*, shortened to *width*."""
    parted = next((i for i, (a, b) in enumerate(zip(text, beside)) if a != b), min(len(text), len(beside)))
    start = max(0, parted - 20)
    shown = repr(text[start : start + width].decode("utf-8", "backslashreplace"))
    before, after = "…" if start else "", "…" if len(text) > start + width else ""
    return f"{before}{shown}{after}"
