"""An array in a few numbers, block by block: it is never held as a whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pytest_repro.core.compare.statistics import Statistics
from pytest_repro.values.dtypes import decode_numbers, format_element, itemsize, view_bits
from pytest_repro.values.spill_store import ValueBuffer

_BLOCK = 2**13
# Elements looked at together: 64 KiB as float64. Of larger blocks the four copies are given back to the
# system each time, and their pages must be faulted in again: 8 million float32 took 2 to 5 times as long.

_SCALE = 2.0**-17
# What is summed is made so much smaller: the sum of a block, and the gap between two means, would be
# infinite near the largest float. A power of two costs no digit, but for numbers below 1e-303.


def compute_statistics(dtype: str, buffer: ValueBuffer, nbytes: int) -> Statistics | None:
    """The statistics of an array.

    Args:
        dtype: dtype name by which the bytes are read, ``"float32"``, ``"bfloat16"``.
        buffer: Its bytes in C order, little-endian.
        nbytes: How many they are.

    Returns:
        None for what is no number, and where there is no element.
    """
    size = itemsize(dtype)
    count = nbytes // size
    if not count or decode_numbers(dtype, buffer[0:size]) is None:
        return None
    with np.errstate(all="ignore"):
        tally = _RunningStatistics()
        for start in range(0, nbytes, _BLOCK * size):
            tally.add(decode_numbers(dtype, buffer[start : min(start + _BLOCK * size, nbytes)]))
    places = sorted({0, count // 4, count // 2, 3 * count // 4, count - 1})
    chosen = ((at, view_bits(dtype, buffer[at * size : (at + 1) * size])[0]) for at in places)
    return tally.to_statistics(count, tuple((at, format_element(dtype, code)) for at, code in chosen))


class _RunningStatistics:
    """Count, mean and root of the summed squared distances from it, joined block to block.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), formula 1.5: what lies far from 0 loses no digits. Joined are the roots, since
    the squares of numbers above 1e154 are infinite, and those below 1e-162 are 0.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._deviation, self._l2 = 0, 0.0, 0.0, 0.0
        self._min, self._max = math.inf, -math.inf

    def add(self, values: Any) -> None:
        # In complex128, as the magnitude of a finite complex64 can be beyond float32.
        whole = np.abs(values.astype("c16")) if values.dtype.kind == "c" else values.astype("f8", copy=False)
        there = np.isfinite(whole)
        finite = whole if there.all() else whole[there]
        if not (count := finite.size):
            return
        self._min, self._max = min(self._min, float(finite.min())), max(self._max, float(finite.max()))
        finite = finite * _SCALE
        mean, total = float(finite.mean()), self._count + count
        gap = mean - self._mean
        between = abs(gap) * math.sqrt(self._count * count / total)
        self._deviation = math.hypot(self._deviation, _norm(finite - mean), between)
        self._mean += gap * count / total
        self._l2 = math.hypot(self._l2, _norm(finite))
        self._count = total

    def to_statistics(self, count: int, elements: tuple[tuple[int, str], ...]) -> Statistics:
        if not self._count:
            return Statistics(non_finite=count, elements=elements)
        sums = self._mean, self._deviation / math.sqrt(self._count), self._l2
        mean, std, l2 = (each / _SCALE for each in sums)
        return Statistics(self._min, self._max, mean, std, l2, count - self._count, elements)


def _norm(values: Any) -> float:
    """Euclidean norm; the largest is made about 1 before it is squared."""
    largest = max(float(values.max()), -float(values.min()))
    exponent = math.frexp(largest)[1]
    scale = 2.0 ** -max(exponent, -1000)
    return math.sqrt(float(np.square(values * scale).sum())) / scale
