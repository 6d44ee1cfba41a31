"""Measures the difference between two arrays of different dtypes, as float64 or complex128."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.values.difference import measure_difference
from pytest_repro.values.dtypes import decode_numbers, itemsize, view_bytes
from pytest_repro.values.spill_store import ValueBuffer

_BLOCK = 2**15
# Elements per block: 256 KiB as float64.


def measure_cross_dtype_difference(
    dtypes: tuple[str, str],
    shape: tuple[int, ...],
    reference: ValueBuffer,
    other: Iterable[memoryview],
    tolerance: Tolerance,
) -> Difference:
    """As :func:`~pytest_repro.values.difference.measure_difference`, between two dtypes, without ulps.

    Args:
        dtypes: Names of the dtypes of *reference* and *other*, both of numbers.
    """
    wide = "complex128" if any(dtype.startswith("complex") for dtype in dtypes) else "float64"
    left, right = _WidenedBuffer(dtypes[0], reference, wide), _widen_pieces(dtypes[1], other, wide)
    return replace(measure_difference(wide, shape, left, right, tolerance), max_ulp=None)


class _WidenedBuffer:
    """A buffer of one dtype, read as a wider one."""

    def __init__(self, dtype: str, buffer: ValueBuffer, wide_dtype: str) -> None:
        self._dtype, self._buffer, self._wide_dtype = dtype, buffer, wide_dtype
        self._itemsize, self._wide_itemsize = itemsize(dtype), itemsize(wide_dtype)

    def __getitem__(self, part: slice) -> memoryview:
        start, stop = part.start // self._wide_itemsize, part.stop // self._wide_itemsize
        narrow = self._buffer[start * self._itemsize : stop * self._itemsize]
        return _widen(self._dtype, narrow, self._wide_dtype)


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
