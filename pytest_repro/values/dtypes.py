"""Decodes bytes to numbers, for the dtypes that numpy has and for those it lacks."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.runs.observation import ELEMENT_DTYPES

# Name → fraction bits, bias and codes of NaN:
# https://arxiv.org/abs/2209.05433 and the OCP microscaling formats, v1.0.
_FLOAT8_FORMATS: dict[str, tuple[int, int, list[int]]] = {
    "float8_e4m3fn": (3, 7, [0x7F, 0xFF]),
    "float8_e4m3fnuz": (3, 8, [0x80]),
    "float8_e5m2fnuz": (2, 16, [0x80]),
}
_FLOAT8_DTYPES = {*_FLOAT8_FORMATS, "float8_e5m2", "float8_e8m0fnu"}
NARROW_FLOATS = {"bfloat16", *_FLOAT8_DTYPES}
"""Floats that numpy does not have itself."""

# Bytes of each real component.
_COMPONENT_SIZES = {
    "bfloat16": 2, "float16": 2, "float32": 4, "float64": 8,
    "complex32": 2, "complex64": 4, "complex128": 8,
}  # fmt: skip


def itemsize(dtype: str) -> int:
    """Bytes of one element; 1 for text and for elements of any length.

    Args:
        dtype: Name of the dtype, ``"float32"``, ``"bfloat16"``; ``"raw12"`` for 12 bytes that are not a
            number, ``"rawU12"`` and ``"rawS12"`` for those of a numpy text or bytes; ``""`` for text.
    """
    if dtype.startswith("raw"):
        return int(dtype.lstrip("rawUS"))
    if dtype in _FLOAT8_DTYPES or dtype == "" or dtype in ELEMENT_DTYPES:
        return 1
    return {"bfloat16": 2, "complex32": 4}.get(dtype) or np.dtype(dtype).itemsize


def view_bits(dtype: str, buffer: Any) -> NDArray[Any]:
    """The bits of each element, to test equality: unsigned integers, or rows of bytes."""
    size = itemsize(dtype)
    if size in (1, 2, 4, 8):
        return np.frombuffer(buffer, f"<u{size}")
    return np.frombuffer(buffer, "u1").reshape(-1, size)


def view_bytes(array: NDArray[Any]) -> memoryview:
    """The memory of a contiguous array, as bytes."""
    return array.reshape(-1).view("u1").data


def decode_numbers(dtype: str, buffer: Any) -> NDArray[Any] | None:
    """The elements as numbers that numpy can calculate with; None if they are not numbers.

    Args:
        dtype: See :func:`itemsize`.
        buffer: Whole elements, little-endian.

    Returns:
        float32, float64, longdouble, complex64, complex128 and integers of 64 bits unchanged;
        narrower floats as float32, complex32 as complex64, bool and other integers as float64.
    """
    if dtype == "" or dtype.startswith("raw") or dtype in ELEMENT_DTYPES:
        return None
    if dtype == "bfloat16":
        return (np.frombuffer(buffer, "<u2").astype("<u4") << np.uint32(16)).view("<f4")
    if dtype in _FLOAT8_DTYPES:
        values: NDArray[Any] = _get_float8_table(dtype)[np.frombuffer(buffer, "u1")]
        return values
    if dtype == "complex32":
        return np.frombuffer(buffer, "<f2").astype("<f4").view("<c8")
    array = np.frombuffer(buffer, np.dtype(dtype).newbyteorder("<"))
    if array.dtype.kind == "b" or (array.dtype.kind in "iu" and array.dtype.itemsize < 8):
        return array.astype("f8")
    return array.astype("f4") if array.dtype.kind == "f" and array.dtype.itemsize == 2 else array


def format_elements(dtype: str, bits: NDArray[Any]) -> list[str]:
    """Elements as text, each by :func:`format_element`."""
    return [format_element(dtype, each) for each in bits]


def format_element(dtype: str, bits: Any) -> str:
    """One element as text, with enough digits to distinguish it from its neighbours.

    Args:
        dtype: See :func:`itemsize`.
        bits: An element of :func:`view_bits`.
    """
    raw = view_bytes(np.atleast_1d(bits))
    value = decode_numbers(dtype, raw)
    if dtype.startswith("rawU"):
        return repr(bytes(raw).decode("utf-32-le", "backslashreplace").rstrip("\0"))
    if value is None:
        return repr(bytes(raw).rstrip(b"\0") if dtype.startswith("rawS") else bytes(raw))
    is_converted = value.dtype == "f8" and dtype != "float64"
    return str(np.frombuffer(raw, dtype)[0] if is_converted else value[0])


def view_float_bits(dtype: str, buffer: Any) -> NDArray[Any] | None:
    """The bits of each real component; None if the dtype has no units in the last place."""
    if dtype in _FLOAT8_DTYPES:
        return np.frombuffer(buffer, "u1") if dtype != "float8_e8m0fnu" else None
    size = _COMPONENT_SIZES.get(dtype)
    return None if size is None else np.frombuffer(buffer, f"<u{size}")


@cache
def _get_float8_table(dtype: str) -> NDArray[np.float32]:
    """The values of all codes; exact."""
    code = np.arange(256)
    if dtype == "float8_e5m2":  # the upper byte of a float16
        return (code << 8).astype("<u2").view("<f2").astype("f4")
    if dtype == "float8_e8m0fnu":  # only an exponent
        return np.where(code == 255, np.nan, np.exp2(code - 127.0)).astype("f4")
    fraction_bits, bias, nan_codes = _FLOAT8_FORMATS[dtype]
    exponent, low_bits = np.divmod(code & 0x7F, 2**fraction_bits)
    fraction = low_bits / 2**fraction_bits
    normal = np.exp2(exponent - float(bias)) * (1 + fraction)
    value = np.where(exponent == 0, np.exp2(1.0 - bias) * fraction, normal)
    signed: NDArray[np.float32] = np.where(code & 0x80, -value, value).astype("f4")
    signed[nan_codes] = np.nan
    return signed
