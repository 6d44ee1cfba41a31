"""How far two arrays of unlike dtypes are apart: both are read as float64, or complex128."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.values.difference import difference
from pytest_repro.values.dtypes import bits_of, itemsize, numbers
from pytest_repro.values.spill_store import Kept

_BLOCK = 2**15
# Elements widened at a time: 256 KiB as float64.


def difference_across(
    elements: tuple[str, str],
    shape: tuple[int, ...],
    reference: Kept,
    other: Iterable[memoryview],
    tolerance: Tolerance,
) -> Difference:
    """As :func:`~pytest_repro.values.difference.difference`, between two dtypes; without ulps.

    Args:
        elements: dtype names of the reference and of the other, both of numbers.
        shape: Lengths of the axes, of both.
        reference: The reference's bytes in C order, little-endian.
        other: The other's bytes likewise, in pieces of whole elements.
        tolerance: Elements within it are not counted as ``outside``.
    """
    wide = "complex128" if any(each.startswith("complex") for each in elements) else "float64"
    pieces = _widened(elements[1], other, wide)
    found = difference(wide, shape, _Wide(elements[0], reference, wide), pieces, tolerance)
    return replace(found, max_ulp=None)


class _Wide:
    """Kept bytes of one dtype, read as if they were of a wider one."""

    def __init__(self, element: str, kept: Kept, wide: str) -> None:
        self._element, self._kept, self._wide = element, kept, wide
        self._narrow, self._size = itemsize(element), itemsize(wide)

    def __getitem__(self, part: slice) -> memoryview:
        start, stop = part.start // self._size, part.stop // self._size
        return _wide(self._element, self._kept[start * self._narrow : stop * self._narrow], self._wide)


def _wide(element: str, buffer: memoryview, wide: str) -> memoryview:
    values = numbers(element, buffer)
    assert values is not None
    return bits_of(np.ascontiguousarray(values, dtype=wide))


def _widened(element: str, pieces: Iterable[memoryview], wide: str) -> Iterator[memoryview]:
    size = itemsize(element) * _BLOCK
    for piece in pieces:
        flat = memoryview(piece).cast("B")
        for start in range(0, flat.nbytes, size):
            yield _wide(element, flat[start : start + size], wide)
