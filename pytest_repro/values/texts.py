"""Values without a dtype: text, bytes, and integers beyond 64 bits, which are stored as hexadecimal text."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.plan.plan import Tolerance
from pytest_repro.core.runs.observation import BYTES_KINDS
from pytest_repro.values.spill_store import ValueBuffer

_WIDTH = 60
"""Characters that are shown of a text, and digits of an integer."""

_DECIMAL_BITS = 14_000
"""Python prints no more than 4,300 digits; integers of more bits are shown in hexadecimal."""


def measure_text_difference(
    kind: str, reference: ValueBuffer, other: Iterable[memoryview], tolerance: Tolerance
) -> Difference:
    """How two values of *kind*, such as ``"str"``, differ: text from 20 characters before it does.

    Integers have distances; one that fits into 64 bits is stored as such.
    """
    left, right = bytes(reference[:]), b"".join(bytes(piece) for piece in other)
    if kind == "int":
        return _measure_integer_difference(decode_integer(left), decode_integer(right), tolerance)
    if is_set(kind):
        return _measure_set_difference(left, right)
    first = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
    start, is_bytes = max(0, first - 20), kind in BYTES_KINDS
    quotes = _quote(left, start, is_bytes), _quote(right, start, is_bytes)
    return Difference(1, 1, 1, first_index=(), first_values=quotes)


def is_set(kind: str) -> bool:
    """Whether values of *kind*, ``"set[3]"``, are stored as the sorted digests of their members."""
    return kind.startswith(("set[", "frozenset["))


def _measure_set_difference(reference: bytes, other: bytes) -> Difference:
    left, right = ({each[i : i + 32] for i in range(0, len(each), 32)} for each in (reference, other))
    words = (f"{len(a - b):,} of {len(a):,} members only" for a, b in ((left, right), (right, left)))
    return Difference(1, 1, 1, first_index=(), first_values=(next(words), next(words)))


def _quote(content: bytes, start: int, is_bytes: bool) -> str:
    part = content[start : start + _WIDTH]
    quote = repr(part if is_bytes else part.decode("utf-8", "backslashreplace"))
    return f"{'…' if start else ''}{quote}{'…' if len(content) > start + _WIDTH else ''}"


def decode_integer(content: bytes) -> int:
    """The integer of 64 bits, or of the hexadecimal digits of a larger one: these are at least 16."""
    return int.from_bytes(content, "little", signed=True) if len(content) == 8 else int(content, 16)


def format_integer(number: int) -> str:
    """*number* in digits; of a long one the first and the last."""
    text = str(number) if number.bit_length() <= _DECIMAL_BITS else hex(number)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH // 2]}…{text[-_WIDTH // 2 + 1 :]}"


def _measure_integer_difference(reference: int, other: int, tolerance: Tolerance) -> Difference:
    distance, size = _to_float(abs(other - reference)), _to_float(abs(reference))
    return Difference(
        differing=1,
        total=1,
        outside_tolerance=int(tolerance.exact or distance > tolerance.atol + tolerance.rtol * size),
        max_abs=distance,
        max_rel=distance / size if size else None,
        first_index=(),
        first_values=(format_integer(reference), format_integer(other)),
    )


def _to_float(number: int) -> float:
    return float(number) if number.bit_length() < 1024 else sys.float_info.max
