"""How far two arrays of unlike dtypes are apart: both are read as float64, or complex128."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.values.difference import measure_difference
from pytest_repro.values.dtypes import decode_numbers, itemsize, view_bytes
from pytest_repro.values.spill_store import ValueBuffer

_BLOCK = 2**15
# Elements widened at a time: 256 KiB as float64.


def measure_cross_dtype_difference(
    dtypes: tuple[str, str],
    shape: tuple[int, ...],
    reference: ValueBuffer,
    other: Iterable[memoryview],
    tolerance: Tolerance,
) -> Difference:
    """As :func:`~pytest_repro.values.difference.measure_difference`, between two dtypes; without ulps.

    Args:
        dtypes: dtype names of the reference and of the other, both of numbers.
        shape: Lengths of the axes, of both.
        reference: The reference's bytes in C order, little-endian.
        other: The other's bytes likewise, in pieces of whole elements.
        tolerance: Elements within it are not counted as ``outside``.
    """
    wide = "complex128" if any(each.startswith("complex") for each in dtypes) else "float64"
    pieces = _widen_pieces(dtypes[1], other, wide)
    found = measure_difference(wide, shape, _WidenedBuffer(dtypes[0], reference, wide), pieces, tolerance)
    return replace(found, max_ulp=None)


class _WidenedBuffer:
    """Kept bytes of one dtype, read as if they were of a wider one."""

    def __init__(self, dtype: str, buffer: ValueBuffer, wide_dtype: str) -> None:
        self._dtype, self._buffer, self._wide_dtype = dtype, buffer, wide_dtype
        self._itemsize, self._wide_itemsize = itemsize(dtype), itemsize(wide_dtype)

    def __getitem__(self, part: slice) -> memoryview:
        start, stop = part.start // self._wide_itemsize, part.stop // self._wide_itemsize
        return _widen(
            self._dtype, self._buffer[start * self._itemsize : stop * self._itemsize], self._wide_dtype
        )


def _widen(dtype: str, buffer: memoryview, wide_dtype: str) -> memoryview:
    values = decode_numbers(dtype, buffer)
    assert values is not None
    return view_bytes(np.ascontiguousarray(values, dtype=wide_dtype))


def _widen_pieces(dtype: str, pieces: Iterable[memoryview], wide_dtype: str) -> Iterator[memoryview]:
    size = itemsize(dtype) * _BLOCK
    for piece in pieces:
        flat = memoryview(piece).cast("B")
        for start in range(0, flat.nbytes, size):
            yield _widen(dtype, flat[start : start + size], wide_dtype)
