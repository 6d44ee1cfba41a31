"""An array in a few numbers, block by block: what is left to say of a value that is not kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pytest_repro.core.golden import Statistics
from pytest_repro.values.elements import codes, itemsize, numbers, shown
from pytest_repro.values.shelf import Kept

_BLOCK = 2**15
# Elements looked at together, as in measure.


def statistics(element: str, kept: Kept, nbytes: int) -> Statistics | None:
    """The statistics of an array.

    Args:
        element: dtype name by which the bytes are read.
        kept: Its bytes in C order, little-endian.
        nbytes: How many they are.

    Returns:
        None for what is no number, and where there is no element.
    """
    size = itemsize(element)
    count = nbytes // size
    if not count or numbers(element, kept[0:size]) is None:
        return None
    with np.errstate(all="ignore"):
        tally = _Tally()
        for start in range(0, nbytes, _BLOCK * size):
            tally.add(numbers(element, kept[start : min(start + _BLOCK * size, nbytes)]))
    places = sorted({0, count // 4, count // 2, 3 * count // 4, count - 1})
    chosen = ((at, codes(element, kept[at * size : (at + 1) * size])[0]) for at in places)
    return tally.told(tuple((at, shown(element, code)) for at, code in chosen))


class _Tally:
    """Count, mean and sum of squared distances from it, joined block to block.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), formula 1.5: what lies far from 0 loses no digits.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._apart, self._squares = 0, 0.0, 0.0, 0.0
        self._min, self._max = math.inf, -math.inf

    def add(self, values: Any) -> None:
        block = np.abs(values).astype("f8") if values.dtype.kind == "c" else values.astype("f8")
        mean, count = float(block.mean()), block.size
        gap, total = mean - self._mean, self._count + count
        self._apart += float(((block - mean) ** 2).sum()) + gap * gap * self._count * count / total
        self._mean += gap * count / total
        self._squares += float((block * block).sum())
        self._count = total
        # numpy's are NaN where an element is; Python's would depend on the order.
        self._min = float(np.minimum(self._min, block.min()))
        self._max = float(np.maximum(self._max, block.max()))

    def told(self, elements: tuple[tuple[int, str], ...]) -> Statistics:
        std = math.sqrt(self._apart / self._count)
        return Statistics(self._min, self._max, self._mean, std, math.sqrt(self._squares), elements)
