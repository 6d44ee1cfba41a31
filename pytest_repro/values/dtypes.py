"""Reads bytes back as numbers, for the dtypes that numpy has and for those it has not."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# name → exponent bits, fraction bits, bias, which codes are not finite.
# IEEE-like e5m2 has infinities; "fn" is finite but for all-ones; "fnuz" has one NaN, at -0; e8m0
# is a bare exponent. https://arxiv.org/abs/2209.05433 and the OCP microscaling formats, v1.0.
_FLOAT8: dict[str, tuple[int, int, int, str]] = {
    "float8_e4m3fn": (4, 3, 7, "fn"),
    "float8_e5m2": (5, 2, 15, "ieee"),
    "float8_e4m3fnuz": (4, 3, 8, "fnuz"),
    "float8_e5m2fnuz": (5, 2, 16, "fnuz"),
    "float8_e8m0fnu": (8, 0, 127, "e8m0"),
}

# Bytes of each real component.
_FLOAT_PARTS = {
    "bfloat16": 2, "float16": 2, "float32": 4, "float64": 8,
    "complex32": 2, "complex64": 4, "complex128": 8,
}  # fmt: skip


def itemsize(element: str) -> int:
    """Bytes of one element; 1 for text.

    Args:
        element: dtype name, ``"float32"``, ``"bfloat16"``; ``"raw12"`` for 12 bytes that are no
            number; ``""`` for text.
    """
    if element.startswith("raw"):
        return int(element[3:])
    if element in _FLOAT8 or element == "":
        return 1
    return {"bfloat16": 2, "complex32": 4}.get(element) or np.dtype(element).itemsize


def codes(element: str, buffer: memoryview) -> NDArray[Any]:
    """The bits of each element, for equality: unsigned integers, or rows of bytes.

    Args:
        element: See :func:`itemsize`.
        buffer: Whole elements, little-endian.
    """
    size = itemsize(element)
    if size in (1, 2, 4, 8):
        return np.frombuffer(buffer, f"<u{size}")
    return np.frombuffer(buffer, "u1").reshape(-1, size)


def bits_of(array: NDArray[Any]) -> memoryview:
    """The memory of a contiguous array, as bytes."""
    return array.reshape(-1).view("u1").data


def numbers(element: str, buffer: Any) -> NDArray[Any] | None:
    """The elements as numbers numpy can calculate with, or None for what is no number.

    Args:
        element: See :func:`itemsize`.
        buffer: Whole elements, little-endian.

    Returns:
        float32, float64, longdouble, complex64, complex128 and integers of 64 bits as they are;
        narrower floats as float32, complex32 as complex64, bool and other integers as float64.
    """
    if element == "" or element.startswith("raw"):
        return None
    if element == "bfloat16":
        return (np.frombuffer(buffer, "<u2").astype("<u4") << np.uint32(16)).view("<f4")
    if element in _FLOAT8:
        values: NDArray[Any] = _float8(element)[np.frombuffer(buffer, "u1")]
        return values
    if element == "complex32":
        return np.frombuffer(buffer, "<f2").astype("<f4").view("<c8")
    found = np.frombuffer(buffer, np.dtype(element).newbyteorder("<"))
    if found.dtype.kind == "b" or (found.dtype.kind in "iu" and found.dtype.itemsize < 8):
        return found.astype("f8")
    return found.astype("f4") if found.dtype.kind == "f" and found.dtype.itemsize == 2 else found


def shown(element: str, code: Any) -> str:
    """One element as text, with as many digits as tell it from its neighbours.

    Args:
        element: See :func:`itemsize`.
        code: One of :func:`codes`.
    """
    raw = bits_of(np.atleast_1d(code))
    value = numbers(element, raw)
    if value is None:
        return repr(bytes(raw))
    whole = value.dtype == "f8" and element != "float64"
    return str(np.frombuffer(raw, element)[0] if whole else value[0])


def float_codes(element: str, buffer: Any) -> NDArray[Any] | None:
    """The bits of each real component, or None where the dtype has no units in the last place."""
    if element in _FLOAT8:
        return np.frombuffer(buffer, "u1") if element != "float8_e8m0fnu" else None
    size = _FLOAT_PARTS.get(element)
    return None if size is None else np.frombuffer(buffer, f"<u{size}")


@cache
def _float8(element: str) -> NDArray[np.float32]:
    return _float8_values(element).astype("f4")  # exact: float32 holds every one of them


def _float8_values(element: str) -> NDArray[np.float64]:
    exponent_bits, fraction_bits, bias, special = _FLOAT8[element]
    code = np.arange(256)
    if special == "e8m0":
        return np.where(code == 255, np.nan, np.exp2(code - 127.0))
    exponent = (code >> fraction_bits) & (2**exponent_bits - 1)
    fraction = (code & (2**fraction_bits - 1)) / 2**fraction_bits
    normal = np.exp2(exponent - float(bias)) * (1 + fraction)
    value = np.where(exponent == 0, np.exp2(1.0 - bias) * fraction, normal)
    value = np.where(code & 0x80, -value, value)
    return _with_specials(value, code, exponent, fraction, special, exponent_bits)


def _with_specials(
    value: NDArray[np.float64],
    code: NDArray[Any],
    exponent: NDArray[Any],
    fraction: NDArray[Any],
    special: str,
    exponent_bits: int,
) -> NDArray[np.float64]:
    if special == "fnuz":
        value[code == 0x80] = np.nan
    elif special == "fn":
        value[(code & 0x7F) == 0x7F] = np.nan
    else:
        top = exponent == 2**exponent_bits - 1
        value[top & (fraction > 0)] = np.nan
        infinite = top & (fraction == 0)
        value[infinite] = np.where(code[infinite] & 0x80, -np.inf, np.inf)
    return value
