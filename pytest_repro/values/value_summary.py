"""Summarizes observations for reports: digest, and values or statistics."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from functools import partial
from typing import Any

from pytest_repro.core.checked_json import MAX_INT
from pytest_repro.core.compare.stored_value import MAX_VALUES, Number, Statistics, StoredValue
from pytest_repro.core.runs.observation import BYTES_KINDS, ELEMENT_DTYPES, ContentRef, Observation
from pytest_repro.core.text import escape_unprintable
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import ValueBuffer
from pytest_repro.values.texts import decode_integer, format_integer, is_set

_MAX_CHARS = 120

_BLOCK = 2**13
# Elements per block: 64 KiB as float64. Larger blocks took 2 to 5 times as long for 8 million float32, since
# their temporaries return to the system and their pages are faulted in again.

_SCALE = 2.0**-17
# Factor of all sums: near the largest float the sum of a block, and the distance of two means, would be
# infinite. A power of two loses no digits, except of numbers below 1e-303.

# Without numpy, whose import takes 0.1 s, for tests that record Python numbers.
_STRUCT_FORMATS = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float16": "e", "float32": "f", "float64": "d",
    "complex64": "ff", "complex128": "dd",
}  # fmt: skip


def summarize_value(name: str, observation: Observation, buffer: ValueBuffer | None) -> StoredValue:
    """A summary of *observation*, called *name*; *buffer* is None if only the digest is known."""
    content = observation.content
    kind, dtype, count = observation.kind, observation.dtype, math.prod(observation.shape)
    known = content.digest if isinstance(content, ContentRef) else digest(kind, [memoryview(content)])
    start = name.removesuffix(escape_unprintable(observation.key[2]))
    containers = tuple((f"{start}{escape_unprintable(at)}", each) for at, each in observation.containers)
    summary = partial(StoredValue, name, kind, known, containers=containers)
    if buffer is None or dtype.startswith("raw") or dtype in ELEMENT_DTYPES or is_set(kind):
        return summary()
    if dtype == "" and kind == "int":
        number = decode_integer(bytes(buffer[:]))
        return summary((number,)) if abs(number) < MAX_INT else summary(text=format_integer(number))
    if dtype == "":
        return summary(text=_decode_text(buffer, kind))
    if count <= MAX_VALUES:
        return summary(tuple(_decode_elements(dtype, bytes(buffer[:]), count)))
    from pytest_repro.values.dtypes import itemsize

    return summary(statistics=compute_statistics(dtype, buffer, count * itemsize(dtype)))


def _decode_text(buffer: ValueBuffer, kind: str) -> str:
    raw = bytes(buffer[: 4 * _MAX_CHARS + 4])  # a character has at most 4 bytes
    text = repr(raw) if kind in BYTES_KINDS else raw.decode("utf-8", "backslashreplace")
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 1]}…"


def _decode_elements(dtype: str, buffer: bytes, count: int) -> Iterable[Number]:
    code = _STRUCT_FORMATS.get(dtype)
    if code is None:
        from pytest_repro.values.dtypes import decode_numbers

        numbers = decode_numbers(dtype, memoryview(buffer))
        return [] if numbers is None else map(_to_python_number, numbers.tolist())
    flat = struct.unpack(f"<{code * count}", buffer)
    if len(code) == 2:
        return map(complex, flat[::2], flat[1::2])
    return map(int, flat) if code == "?" else flat


def _to_python_number(value: object) -> Number:
    """*value* as a Python number: elements of ``longdouble`` arrays are numpy scalars."""
    return value if isinstance(value, (int, float, complex)) else float(value)  # type: ignore[arg-type]


def compute_statistics(dtype: str, buffer: ValueBuffer, nbytes: int) -> Statistics | None:
    """The statistics of an array in C order, little-endian; None if it is empty or does not hold numbers."""
    import numpy as np

    from pytest_repro.values.dtypes import decode_numbers, format_element, itemsize, view_bits

    size = itemsize(dtype)
    count = nbytes // size
    if not count or decode_numbers(dtype, buffer[0:size]) is None:
        return None
    with np.errstate(all="ignore"):
        tally = _RunningStatistics()
        for start in range(0, nbytes, _BLOCK * size):
            tally.add(decode_numbers(dtype, buffer[start : min(start + _BLOCK * size, nbytes)]))
    indices = sorted({0, count // 4, count // 2, 3 * count // 4, count - 1})
    samples = ((i, view_bits(dtype, buffer[i * size : (i + 1) * size])[0]) for i in indices)
    return tally.to_statistics(count, tuple((i, format_element(dtype, bits)) for i, bits in samples))


class _RunningStatistics:
    """Count, mean and root of the summed squared distances from the mean, merged block by block.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), formula 1.5, which loses no digits of values far from 0. Roots are merged instead of
    squares, since squares of numbers above 1e154 are infinite, and those below 1e-162 are 0.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._deviation, self._l2 = 0, 0.0, 0.0, 0.0
        self._min, self._max = math.inf, -math.inf

    def add(self, values: Any) -> None:
        import numpy as np

        # In complex128, as the magnitude of a finite complex64 can be beyond float32.
        wide = abs(values.astype("c16")) if values.dtype.kind == "c" else values.astype("f8", copy=False)
        is_finite = np.isfinite(wide)
        finite = wide if is_finite.all() else wide[is_finite]
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
    """Euclidean norm; numbers are scaled to about 1 before they are squared."""
    largest = max(float(values.max()), -float(values.min()))
    exponent = math.frexp(largest)[1]
    scale = 2.0 ** -max(exponent, -1000)
    scaled = values * scale
    return math.sqrt(float((scaled * scaled).sum())) / scale
