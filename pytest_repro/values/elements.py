"""Arrays whose elements have any length: text, bytes, encoded Python objects.

Their bytes are the length of each element as int32, -1 for a missing one, and then all elements.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.compare.mismatch import ELEMENTS_KEPT, Difference
from pytest_repro.core.runs.observation import ELEMENT_DTYPES
from pytest_repro.values.texts import decode_integer, format_integer

TEXT, BINARY, OBJECTS = "utf8", "binary", "objects"
"""Dtypes: text; bytes; the kind of an object, its dtype and its bytes, each of the first two before a 0."""

MISSING = "null"
"""How reports show a missing element."""

_BLOCK, _MAX_CHARS = 2**14, 60

_TIMES = re.compile(r"([a-z]+)(?:32|64)?\[(\w+)(?:, (?:tz=)?([^\]]+))?\]", re.I)
# How kinds name moments and spans of time: datetime64[ns, UTC], timestamp[us, tz=UTC], date32[day].

_TIME_CODES = dict.fromkeys(("datetime", "timestamp", "date", "period"), "M8")
_TIME_CODES |= dict.fromkeys(("timedelta", "duration"), "m8")
_UNITS = {each: each for each in ("Y", "M", "D", "h", "m", "s", "ms", "us", "ns")} | {"day": "D", "min": "m"}


def encode_elements(elements: Sequence[bytes | None]) -> tuple[NDArray[np.int32], bytes]:
    """Lengths and joined bytes of *elements*.

    Raises:
        ValueError: One has 2 GiB or more.
    """
    lengths = np.fromiter((-1 if each is None else len(each) for each in elements), "i8", len(elements))
    return narrow_lengths(lengths), b"".join(each for each in elements if each is not None)


def narrow_lengths(lengths: NDArray[Any]) -> NDArray[np.int32]:
    """Lengths as they are stored.

    Raises:
        ValueError: One is 2 GiB or more.
    """
    if lengths.dtype.itemsize > 4 and lengths.size and lengths.max() >= 2**31:
        raise ValueError(f"an element has {int(lengths.max()):,} bytes, and at most 2 GiB are read")
    return lengths.astype("<i4", copy=False)


@dataclass(frozen=True, slots=True)
class ElementArray:
    """Elements of any length, as they are stored: the element ``i`` ends at ``ends[i]`` in *data*."""

    dtype: str
    lengths: NDArray[np.int32]
    ends: NDArray[np.int64]
    data: memoryview

    @classmethod
    def read(cls, dtype: str, count: int, content: Any) -> ElementArray:
        """The array of *count* elements in the buffer *content*."""
        raw = memoryview(content).cast("B")
        lengths = np.frombuffer(raw[: 4 * count], "<i4")
        ends = np.cumsum(np.maximum(lengths, 0), dtype="i8")
        return cls(dtype, lengths, ends, raw[4 * count :])

    def get(self, index: int) -> bytes | None:
        """One element; None if it is missing."""
        length, end = int(self.lengths[index]), int(self.ends[index])
        return None if length < 0 else bytes(self.data[end - length : end])

    def format(self, index: int) -> str:
        """One element as text: ``'ann'``, ``null``."""
        raw = self.get(index)
        return MISSING if raw is None else _format_raw(self.dtype, raw)


def _format_raw(dtype: str, raw: bytes) -> str:
    if dtype == BINARY:
        return _shorten(repr(raw))
    if dtype == TEXT:
        return _shorten(repr(raw.decode("utf-8", "backslashreplace")))
    kind, element, rest = raw.split(b"\0", 2)
    if element:
        from pytest_repro.values.dtypes import format_element, view_bits

        return format_element(element.decode(), view_bits(element.decode(), rest)[0])
    if kind == b"int":
        return format_integer(decode_integer(rest))
    text = rest.decode("utf-8", "backslashreplace")
    return _shorten(repr(text) if kind == b"str" else text)


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 2]}…{text[-1]}"


def measure_element_difference(
    dtype: str, shape: tuple[int, ...], reference: Any, other: Iterable[memoryview]
) -> Difference:
    """Which elements of *other* differ from *reference*."""
    left = ElementArray.read(dtype, shape[0], reference)
    right = ElementArray.read(dtype, shape[0], b"".join(bytes(piece) for piece in other))
    differing, first = 0, list[tuple[int, str, str]]()
    for index in _iter_differing(left, right):
        differing += 1
        if len(first) < ELEMENTS_KEPT:
            first.append((index, left.format(index), right.format(index)))
    at, values = (None, None) if not first else ((first[0][0],), first[0][1:])
    sizes = differing, shape[0], differing
    return Difference(*sizes, first_index=at, first_values=values, first_elements=tuple(first))


def _iter_differing(left: ElementArray, right: ElementArray) -> Iterator[int]:
    """Indices of the elements that differ; blocks of equal bytes are skipped as a whole."""
    count = len(left.lengths)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        if np.array_equal(left.lengths[start:stop], right.lengths[start:stop]):
            a, b = (int(each.ends[start - 1]) if start else 0 for each in (left, right))
            size = int(left.ends[stop - 1]) - a
            if left.data[a : a + size] == right.data[b : b + size]:
                continue
        yield from (index for index in range(start, stop) if left.get(index) != right.get(index))


def format_at(dtype: str, count: int, values: Any, index: int) -> str:
    """The element *index* of an array of *count* elements of any dtype, as text."""
    if dtype in ELEMENT_DTYPES:
        return ElementArray.read(dtype, count, values[:]).format(index)
    from pytest_repro.values.dtypes import format_element, itemsize, view_bits

    size = itemsize(dtype)
    return format_element(dtype, view_bits(dtype, values[index * size : (index + 1) * size])[0])


def format_as_kind(kind: str, text: str) -> str:
    """An integer as the moment or span of time that it is in an array of *kind*; other texts as they are."""
    found = _TIMES.match(kind)
    code, unit = (_TIME_CODES.get(found[1].lower()), _UNITS.get(found[2])) if found else (None, None)
    if found is None or not code or not unit or not text.lstrip("-").isdigit():
        return text
    moment = str(np.array(int(text), "i8").view(f"{code}[{unit}]"))
    return f"{re.sub(r'[.]0+$', '', moment)} {found[3] or ''}".rstrip()
