"""What a report tells of an observation: digest, and values or statistics."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from pytest_repro.core.golden.value_summary import FEW, Account, Number
from pytest_repro.core.runs.observation import Observation, Stored
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import Kept

_SHOWN = 120
"""Characters of a text that are told."""

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
    from pytest_repro.values.dtypes import itemsize
    from pytest_repro.values.statistics import statistics

    nbytes = count * itemsize(element)
    return Account(name, found.kind, known, statistics=statistics(element, values, nbytes))


def _text(values: Kept) -> str:
    # One character takes 4 bytes at most.
    read = bytes(values[: 4 * _SHOWN + 4]).decode("utf-8", "backslashreplace")
    return read if len(read) <= _SHOWN else f"{read[: _SHOWN - 1]}…"


def _few(element: str, buffer: bytes, count: int) -> Iterable[Number]:
    form = _STRUCT.get(element)
    if form is None:
        from pytest_repro.values.dtypes import numbers

        read = numbers(element, memoryview(buffer))
        return [] if read is None else map(_number, read.tolist())
    flat = struct.unpack(f"<{form * count}", buffer)
    if len(form) == 2:
        return map(complex, flat[::2], flat[1::2])
    return map(int, flat) if form == "?" else flat


def _number(value: object) -> Number:
    """*value* as Python has it: the elements of ``longdouble`` arrays are numpy's own."""
    return value if isinstance(value, (int, float, complex)) else float(value)  # type: ignore[arg-type]
