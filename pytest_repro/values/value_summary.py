"""What a report tells of an observation: digest, and values or statistics."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from pytest_repro.core.golden.stored_value import MAX_VALUES, Number, StoredValue
from pytest_repro.core.runs.observation import ContentRef, Observation
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import ValueBuffer

_MAX_CHARS = 120
"""Characters of a text that are told."""

# A test of plain Python numbers must not wait 0.1 s for numpy because a report is written.
_STRUCT_FORMATS = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float16": "e", "float32": "f", "float64": "d",
    "complex64": "ff", "complex128": "dd",
}  # fmt: skip


def summarize_value(name: str, observation: Observation, buffer: ValueBuffer | None) -> StoredValue:
    """What is told of *observation*.

    Args:
        name: As it is shown.
        observation: An observation.
        buffer: Its bytes in C order, little-endian; None where only the digest is known.
    """
    content = observation.content
    known = (
        content.digest if isinstance(content, ContentRef) else digest(observation.kind, [memoryview(content)])
    )
    count, element = math.prod(observation.shape), observation.dtype
    if buffer is None or element.startswith("raw"):
        return StoredValue(name, observation.kind, known)
    if element == "":
        return StoredValue(name, observation.kind, known, text=_decode_text(buffer))
    if count <= MAX_VALUES:
        return StoredValue(
            name, observation.kind, known, tuple(_decode_elements(element, bytes(buffer[:]), count))
        )
    from pytest_repro.values.dtypes import itemsize
    from pytest_repro.values.statistics import compute_statistics

    nbytes = count * itemsize(element)
    return StoredValue(name, observation.kind, known, statistics=compute_statistics(element, buffer, nbytes))


def _decode_text(buffer: ValueBuffer) -> str:
    # One character takes 4 bytes at most.
    read = bytes(buffer[: 4 * _MAX_CHARS + 4]).decode("utf-8", "backslashreplace")
    return read if len(read) <= _MAX_CHARS else f"{read[: _MAX_CHARS - 1]}…"


def _decode_elements(dtype: str, buffer: bytes, count: int) -> Iterable[Number]:
    form = _STRUCT_FORMATS.get(dtype)
    if form is None:
        from pytest_repro.values.dtypes import decode_numbers

        read = decode_numbers(dtype, memoryview(buffer))
        return [] if read is None else map(_to_python_number, read.tolist())
    flat = struct.unpack(f"<{form * count}", buffer)
    if len(form) == 2:
        return map(complex, flat[::2], flat[1::2])
    return map(int, flat) if form == "?" else flat


def _to_python_number(value: object) -> Number:
    """*value* as Python has it: the elements of ``longdouble`` arrays are numpy's own."""
    return value if isinstance(value, (int, float, complex)) else float(value)  # type: ignore[arg-type]
