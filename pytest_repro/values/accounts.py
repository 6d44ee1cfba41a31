"""What a report tells of an observation: digest, and values or statistics."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from pytest_repro.core.account import FEW, Account, Number, Statistics
from pytest_repro.core.observation import Observation, Stored
from pytest_repro.values.shelf import Kept
from pytest_repro.values.tree import digest

_SHOWN = 120
"""Characters of a text that are told."""

_BLOCK = 2**15
"""Elements read together: their float64 copies, 256 KiB, stay in the cache."""

# A test of plain Python numbers must not wait 0.1 s for numpy because a report is written.
_STRUCT = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float16": "e", "float32": "f", "float64": "d",
    "complex64": "ff", "complex128": "dd",
}  # fmt: skip


def account(name: str, found: Observation, values: Kept | None) -> Account:
    """What is told of *found*.

    Args:
        name: As it is shown.
        found: An observation.
        values: Its bytes in C order, little-endian; None where only the digest is known.
    """
    content = found.content
    known = content.digest if isinstance(content, Stored) else digest(found.kind, [memoryview(content)])
    count, element = math.prod(found.shape), found.element
    if values is None or element.startswith("raw"):
        return Account(name, found.kind, known)
    if element == "":
        return Account(name, found.kind, known, text=_text(values))
    if count <= FEW:
        return Account(name, found.kind, known, tuple(_few(element, bytes(values[:]), count)))
    return Account(name, found.kind, known, statistics=statistics(element, values, count))


def _text(values: Kept) -> str:
    # One character takes 4 bytes at most.
    read = bytes(values[: 4 * _SHOWN + 4]).decode("utf-8", "backslashreplace")
    return read if len(read) <= _SHOWN else f"{read[: _SHOWN - 1]}…"


def _few(element: str, buffer: bytes, count: int) -> Iterable[Number]:
    form = _STRUCT.get(element)
    if form is None:
        from pytest_repro.values.elements import numbers

        read = numbers(element, memoryview(buffer))
        return [] if read is None else map(_number, read.tolist())
    flat = struct.unpack(f"<{form * count}", buffer)
    if len(form) == 2:
        return map(complex, flat[::2], flat[1::2])
    return map(int, flat) if form == "?" else flat


def _number(value: object) -> Number:
    """*value* as Python has it: the elements of ``longdouble`` arrays are numpy's own."""
    return value if isinstance(value, (int, float, complex)) else float(value)  # type: ignore[arg-type]


def statistics(element: str, values: Kept, count: int) -> Statistics:
    """Statistics of an array, block by block: it is never held as a whole.

    Args:
        element: dtype name, ``"float32"``, ``"bfloat16"``.
        values: The bytes in C order, little-endian.
        count: Number of elements, more than 0.
    """
    import numpy as np

    low, high, mean, squares, l2, seen = math.inf, -math.inf, 0.0, 0.0, 0.0, 0
    with np.errstate(all="ignore"):
        for block in _blocks(element, values, count):
            read = np.abs(block) if block.dtype.kind == "c" else block
            finite = read[np.isfinite(read)].astype("f8")
            if not (size := finite.size):
                continue
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            # Chan, Golub & LeVeque 1979: means and sums of squares of two parts, put together.
            own = float(finite.mean())
            apart, total = own - mean, seen + size
            squares += float(np.square(finite - own).sum()) + apart * apart * seen * size / total
            mean, seen = mean + apart * size / total, total
            l2 = math.hypot(l2, float(np.sqrt(np.square(finite).sum())))
    if not seen:
        return Statistics(non_finite=count)
    return Statistics(low, high, mean, math.sqrt(squares / seen), l2, count - seen)


def _blocks(element: str, values: Kept, count: int) -> Iterator[Any]:
    from pytest_repro.values.elements import itemsize, numbers

    size = itemsize(element)
    for start in range(0, count * size, _BLOCK * size):
        yield numbers(element, values[start : start + _BLOCK * size])
