from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_repro.values.dtypes import decode_numbers, format_element, itemsize, view_bits

torch = pytest.importorskip("torch")

_FLOAT8 = [name for name in sorted(dir(torch)) if name.startswith("float8_")]


def _same(found: Any, expected: Any) -> None:
    assert found is not None
    wide = expected.to(torch.float64).numpy()
    with np.errstate(invalid="ignore"):  # a signalling NaN
        np.testing.assert_array_equal(found.astype("f8"), wide)
    assert (np.signbit(found) == np.signbit(wide))[~np.isnan(wide)].all()


@pytest.mark.parametrize("element", _FLOAT8)
def test_every_float8_is_read_as_torch_reads_it(element: str) -> None:
    code = torch.arange(256, dtype=torch.uint8)
    _same(decode_numbers(element, code.numpy()), code.view(getattr(torch, element)))


@pytest.mark.parametrize("element", ["bfloat16", "float16"])
def test_every_16_bit_float_is_read_as_torch_reads_it(element: str) -> None:
    code = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    _same(decode_numbers(element, code.numpy()), code.view(getattr(torch, element)))


@pytest.mark.parametrize(
    ("element", "dtype"), [("float32", "f4"), ("float64", "f8"), ("complex64", "c8"), ("int64", "i8"),
    ("uint64", "u8"), ("bool", "f8"), ("int8", "f8"), ("uint32", "f8"),
    ("complex32", "c8"), ("longdouble", "g")]
)  # fmt: skip
def test_wide_numbers_are_not_copied_and_narrow_ones_fit(element: str, dtype: str) -> None:
    found = decode_numbers(element, memoryview(bytes(2 * itemsize(element))))
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.dtype(dtype), [0, 0])


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_complex32_is_two_halves() -> None:
    value = torch.tensor([1 + 2j, -0.5j], dtype=torch.complex32)
    found = decode_numbers("complex32", value.view(torch.int32).numpy())
    assert found is not None
    assert found.tolist() == [1 + 2j, -0.5j]


def test_what_is_no_number_has_bits_only() -> None:
    buffer = memoryview(b"abcdef")
    assert decode_numbers("raw3", buffer) is None
    assert view_bits("raw3", buffer).tolist() == [[97, 98, 99], [100, 101, 102]]


@pytest.mark.parametrize(
    ("element", "value", "text"),
    [("float32", np.float32(0.1), "0.1"), ("float64", np.float64(0.1), "0.1"), ("bool", np.True_, "True"),
     ("int8", np.int8(-3), "-3"), ("uint64", np.uint64(2**64 - 1), "18446744073709551615"),
     ("float16", np.float16(2), "2.0"), ("float64", np.float64("nan"), "nan"),
     ("raw3", b"a\0\0", r"b'a\x00\x00'"), ("rawS3", b"a\0\0", "b'a'"),
     ("rawU8", "é".encode("utf-32-le") + bytes(4), "'é'")],
)  # fmt: skip
def test_an_element_is_shown_in_its_own_precision(element: str, value: Any, text: str) -> None:
    buffer = memoryview(value if isinstance(value, bytes) else value.tobytes())
    assert format_element(element, view_bits(element, buffer)[0]) == text
