"""Summarizes observations for reports: digest, and values or statistics."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from functools import partial

from pytest_repro.core.compare.stored_value import MAX_VALUES, Number, StoredValue
from pytest_repro.core.runs.observation import ContentRef, Observation
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import ValueBuffer

_MAX_CHARS = 120

# Without numpy, whose import takes 0.1 s, for tests that record Python numbers.
_STRUCT_FORMATS = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float16": "e", "float32": "f", "float64": "d",
    "complex64": "ff", "complex128": "dd",
}  # fmt: skip


def summarize_value(name: str, observation: Observation, buffer: ValueBuffer | None) -> StoredValue:
    """A summary of *observation*.

    Args:
        name: Its name in the report.
        buffer: Its bytes in C order, little-endian; None if only the digest is known.
    """
    content = observation.content
    kind, dtype, count = observation.kind, observation.dtype, math.prod(observation.shape)
    content_digest = (
        content.digest if isinstance(content, ContentRef) else digest(kind, [memoryview(content)])
    )
    summary = partial(StoredValue, name, kind, content_digest)
    if buffer is None or dtype.startswith("raw"):
        return summary()
    if dtype == "":
        return summary(text=_decode_text(buffer))
    if count <= MAX_VALUES:
        return summary(tuple(_decode_elements(dtype, bytes(buffer[:]), count)))
    from pytest_repro.values.dtypes import itemsize
    from pytest_repro.values.statistics import compute_statistics

    return summary(statistics=compute_statistics(dtype, buffer, count * itemsize(dtype)))


def _decode_text(buffer: ValueBuffer) -> str:
    # A character has at most 4 bytes.
    text = bytes(buffer[: 4 * _MAX_CHARS + 4]).decode("utf-8", "backslashreplace")
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
