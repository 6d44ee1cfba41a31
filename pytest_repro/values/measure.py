"""Says how far two values are apart, block by block: two whole copies never exist.

On 256 MB of which half differs this takes 2 MB beside the values, where whole-array numpy takes
2.6 GB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.difference import Difference
from pytest_repro.core.tolerance import Tolerance
from pytest_repro.values.elements import codes, float_codes, itemsize, numbers

_BLOCK = 2**16
# Elements looked at together: 64 Ki float64 temporaries are 0.5 MB each, and stay in the cache.


@dataclass(slots=True)
class _Tally:
    differing: int = 0
    outside: int = 0
    non_finite: int = 0
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    first: int | None = None
    first_values: tuple[str, str] | None = None


def difference(
    element: str,
    shape: tuple[int, ...],
    reference: memoryview,
    other: Iterable[memoryview],
    tolerance: Tolerance,
) -> Difference:
    """How far *other* is from *reference*.

    Args:
        element: dtype name by which the bytes are read: ``"float32"``, ``"bfloat16"``; ``""``
            for text.
        shape: Lengths of the axes, of both.
        reference: The reference's bytes in C order, little-endian.
        other: The other's bytes likewise, in pieces of whole elements.
        tolerance: Elements within it are not counted as ``outside``.
    """
    if element == "":
        return _text_difference(reference, other)
    tally, size, at = _Tally(), itemsize(element), 0
    for piece in other:
        flat = memoryview(piece).cast("B")
        for start in range(0, flat.nbytes, _BLOCK * size):
            block = flat[start : start + _BLOCK * size]
            _add(tally, element, at // size, reference[at : at + block.nbytes], block, tolerance)
            at += block.nbytes
    total = at // size
    index = None if tally.first is None else _index(tally.first, shape)
    return Difference(
        tally.differing, total, tally.outside, tally.max_abs, tally.max_rel, tally.max_ulp,
        index, tally.first_values, tally.non_finite,
    )  # fmt: skip


def _buffer(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view("u1").data


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()


def _add(tally: _Tally, element: str, at: int, a: memoryview, b: memoryview, tolerance: Tolerance) -> None:
    left, right = codes(element, a), codes(element, b)
    unequal = left != right
    where = np.flatnonzero(unequal if unequal.ndim == 1 else unequal.any(axis=1))
    if not where.size:
        return
    tally.differing += where.size
    # Selecting by code, then reading as numbers, works on the differing elements only.
    pair = left[where], right[where]
    x, y = (numbers(element, _buffer(p)) for p in pair)
    if tally.first is None:
        tally.first = at + int(where[0])
        tally.first_values = (_shown(x, pair[0]), _shown(y, pair[1]))
    if x is None or y is None:
        tally.outside += where.size
        return
    _add_distances(tally, x, y, tolerance)
    _add_ulps(tally, element, *pair)


def _shown(values: NDArray[Any] | None, raw: NDArray[Any]) -> str:
    if values is None:
        return repr(raw[0].tobytes())
    value = values[0]
    return repr(value.item()) if not isinstance(value, np.longdouble) else str(value)


def _add_distances(tally: _Tally, x: NDArray[Any], y: NDArray[Any], tolerance: Tolerance) -> None:
    with np.errstate(all="ignore"):
        distance = _distance(x, y)
        size = np.abs(x).astype(distance.dtype)
        finite = np.isfinite(distance)
        tally.non_finite += int(finite.size - np.count_nonzero(finite))
        tally.max_abs = _larger(tally.max_abs, distance[finite])
        nonzero = finite & (size > 0)
        tally.max_rel = _larger(tally.max_rel, distance[nonzero] / size[nonzero])
        if tolerance.exact:
            tally.outside += x.size
            return
        within = distance <= tolerance.atol + tolerance.rtol * size
        # Two NaNs, or two infinities of one sign, are as close as can be.
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        tally.outside += int(x.size - np.count_nonzero(within & finite | same))


def _distance(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    if x.dtype.kind in "iu":
        # Subtracting the smaller from the larger cannot overflow the unsigned type.
        high, low = np.maximum(x, y), np.minimum(x, y)
        unsigned: NDArray[Any] = high.astype("u8") - low.astype("u8")
        return unsigned.astype("f8")
    gap: NDArray[Any] = np.abs(y - x)
    return gap


def _larger(so_far: float | None, values: NDArray[Any]) -> float | None:
    if not values.size:
        return so_far
    largest = float(values.max())
    return largest if so_far is None else max(so_far, largest)


def _add_ulps(tally: _Tally, element: str, left: NDArray[Any], right: NDArray[Any]) -> None:
    a = float_codes(element, _buffer(left))
    b = float_codes(element, _buffer(right))
    if a is None or b is None:
        return
    sign = a.dtype.type(1 << (8 * a.dtype.itemsize - 1))
    steps = _steps(a, b, sign)
    readable = _finite_codes(element, a) & _finite_codes(element, b)
    if readable.any():
        tally.max_ulp = max(tally.max_ulp or 0, int(steps[readable].max()))


def _steps(a: NDArray[Any], b: NDArray[Any], sign: Any) -> NDArray[np.uint64]:
    """Representable numbers between *a* and *b*: sign and magnitude, counted through zero."""
    x, y = (a & ~sign).astype("u8"), (b & ~sign).astype("u8")
    apart: NDArray[np.uint64] = np.where((a & sign) == (b & sign), np.maximum(x, y) - np.minimum(x, y), x + y)
    return apart


def _finite_codes(element: str, code: NDArray[Any]) -> NDArray[np.bool_]:
    real = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
    values = numbers(real.get(element, element), _buffer(code))
    assert values is not None
    finite: NDArray[np.bool_] = np.isfinite(values)
    return finite


def _text_difference(reference: memoryview, other: Iterable[memoryview]) -> Difference:
    left, right = bytes(reference), b"".join(bytes(piece) for piece in other)
    return Difference(1, 1, 1, first_index=(), first_values=(_quoted(left, right), _quoted(right, left)))


def _quoted(text: bytes, beside: bytes, width: int = 60) -> str:
    """*text* from a little before where it parts from *beside*, shortened to *width*."""
    parted = next((i for i, (a, b) in enumerate(zip(text, beside)) if a != b), min(len(text), len(beside)))
    start = max(0, parted - 20)
    shown = repr(text[start : start + width].decode("utf-8", "backslashreplace"))
    before, after = "…" if start else "", "…" if len(text) > start + width else ""
    return f"{before}{shown}{after}"
