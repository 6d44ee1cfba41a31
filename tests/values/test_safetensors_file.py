"""Values in a safetensors file: each is the one its name says, or there is none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_repro.values.hashing import digest
from pytest_repro.values.safetensors_file import (
    as_storable_array,
    decode_arrays,
    encode_arrays,
    open_safetensors,
)


def stored(path: Path, kind: str, element: str, shape: tuple[int, ...], content: bytes) -> str:
    name = digest(kind, [memoryview(content)])
    path.write_bytes(encode_arrays({name: as_storable_array(element, shape, content)}))
    return name


@pytest.mark.parametrize(
    ("kind", "element", "shape", "content"),
    [
        ("float32[2, 1]", "float32", (2, 1), np.array([1, np.nan], "f4").tobytes()),
        ("bool[3]", "bool", (3,), b"\1\0\1"),
        ("bfloat16[2]", "bfloat16", (2,), b"\x80\x3f\0\x40"),
        ("complex128[1]", "complex128", (1,), np.array([1j], "c16").tobytes()),
        ("str", "", (), "größe".encode()),
        ("int64[]", "int64", (), (-5).to_bytes(8, "little", signed=True)),
    ],
)
def test_a_value_comes_back_to_the_bit(
    tmp_path: Path, kind: str, element: str, shape: tuple[int, ...], content: bytes
) -> None:
    path = tmp_path / "v.safetensors"
    name = stored(path, kind, element, shape, content)
    with open_safetensors(path) as tensors:
        assert tensors is not None
        found = tensors.read_bytes(name, kind, len(content))
        assert found is not None
        assert bytes(found) == content
        assert tensors.read_bytes("f" * 32, kind, 4) is None
    assert list(decode_arrays(path.read_bytes())) == [name]


def test_what_numpy_has_is_stored_as_it_is(tmp_path: Path) -> None:
    """Others that read the file see numbers in their shape."""
    content = np.arange(6, dtype="f4").tobytes()
    (found,) = decode_arrays(encode_arrays({"a": as_storable_array("float32", (2, 3), content)})).values()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.arange(6, dtype="f4").reshape(2, 3))


def test_the_same_values_are_the_same_bytes() -> None:
    one, two = as_storable_array("float32", (1,), b"\0\0\0\0"), as_storable_array("float64", (1,), b"\0" * 8)
    assert encode_arrays({"a": one, "b": two}) == encode_arrays({"b": two, "a": one})


def test_another_value_under_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    name = stored(path, "float32[2]", "float32", (2,), b"\0" * 8)
    path.write_bytes(encode_arrays({name: as_storable_array("float32", (2,), b"\1" * 8)}))
    with open_safetensors(path) as tensors:
        assert tensors is not None
        with pytest.raises(ValueError, match="is damaged"):
            tensors.read_bytes(name, "float32[2]", 8)
        with pytest.raises(ValueError, match="is damaged"):
            tensors.read_bytes(name, "float32[1]", 4)


def test_there_need_be_no_file(tmp_path: Path) -> None:
    with open_safetensors(tmp_path / "v.safetensors") as tensors:
        assert tensors is None


def header(**tensors: Any) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


HOSTILE = {
    "empty": b"",
    "truncated": encode_arrays({"a": np.zeros(9)})[:-5],
    "pickle": pickle.dumps(["a"] * 50),
    "a header longer than the file": (2**62).to_bytes(8, "little") + b"{}",
    "a tensor longer than the file": header(a={"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}),
    "offsets that run back": header(a={"dtype": "U8", "shape": [1], "data_offsets": [9, 1]}),
    "no JSON": (4).to_bytes(8, "little") + b"\xff\xff\xff\xff",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a safetensors file, or incomplete"), open_safetensors(path):
        pass


def test_a_link_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="is not a regular file"), open_safetensors(tmp_path / "link"):
        pass
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)  # takes no room
    with pytest.raises(ValueError, match="is too large"), open_safetensors(tmp_path / "huge"):
        pass
