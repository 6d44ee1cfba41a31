"""Values in a safetensors file, each under the digest of its kind and bytes: nothing in it runs.

A name says what the value must be, so a file that is older, newer or made by somebody else than the
text beside it holds the right value or none.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pytest_repro.values.dtypes import view_bytes
from pytest_repro.values.hashing import digest

_NATIVE_DTYPES = {"bool", "float16", "float32", "float64"} | {
    f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)
}
# What safetensors and numpy both know; all else is stored as its bytes.

_MAX_FILE_BYTES = 2**31
"""Bytes of a file that is read: what is larger no golden file needs."""


def as_storable_array(dtype: str, shape: tuple[int, ...], content: bytes) -> Any:
    """*content* as an array to be stored: its own dtype where it has one, else bytes.

    Args:
        dtype: dtype name by which the bytes are read.
        shape: Lengths of the axes.
        content: Bytes in C order, little-endian.
    """
    if dtype not in _NATIVE_DTYPES:
        return np.frombuffer(content, "u1")
    return np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def encode_arrays(arrays: Mapping[str, Any]) -> bytes:
    """The file that holds *arrays*, by name.

    Raises:
        ValueError: No session would read it: it is too large.
    """
    from safetensors.numpy import save

    size = sum(array.nbytes for array in arrays.values())
    if size > _MAX_FILE_BYTES // 2:
        raise ValueError(
            f"would hold {size:,} bytes of values, and {_MAX_FILE_BYTES // 2:,} are kept at most: "
            "lower repro_baseline_kb"
        )

    return bytes(save(dict(sorted(arrays.items()))))


def decode_arrays(content: bytes) -> dict[str, Any]:
    """The arrays in what :func:`encode_arrays` gave."""
    from safetensors.numpy import load

    return dict(load(content))


class SafetensorsFile:
    """A file that is open for reading.

    Args:
        file: What safetensors made of it.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.names = set(file.keys())

    def read_array(self, name: str, max_bytes: int = _MAX_FILE_BYTES) -> Any:
        """The array *name*; None where there is none, or it takes more than *max_bytes* bytes.

        Raises:
            ValueError: It is of a dtype that is not written here.
        """
        if name not in self.names:
            return None
        part = self._file.get_slice(name)
        shape, count = part.get_shape(), 1
        for length in shape:
            count *= length
        if count > max_bytes:
            return None
        try:
            return self._file.get_tensor(name)
        except Exception as error:  # whatever numpy and safetensors say of a dtype that we never write
            raise ValueError(f"is damaged: the value {name} cannot be read: {error}") from None

    def read_bytes(self, name: str, kind: str, nbytes: int, exact_size: bool = True) -> memoryview | None:
        """The bytes of the value whose digest is *name*; None where they are not there.

        Args:
            name: Its digest.
            kind: dtype and shape.
            nbytes: How many bytes the value has that it is compared with.
            exact_size: Whether it must have as many: all but text.

        Raises:
            ValueError: What stands under this name is something else.
        """
        if name not in self.names:
            return None
        found = self.read_array(name, nbytes if exact_size else _MAX_FILE_BYTES)
        raw = view_bytes(np.ascontiguousarray(found)) if found is not None else memoryview(b"")
        if (exact_size and raw.nbytes != nbytes) or digest(kind, [raw]) != name:
            raise ValueError(f"is damaged: the value {name} is another one")
        return raw


@contextmanager
def open_safetensors(path: Path) -> Iterator[SafetensorsFile | None]:
    """The file at *path*; None where there is none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no safetensors file, or no plain file; the message says what.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        yield None
        return
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("is no plain file")
    if found.st_size > _MAX_FILE_BYTES:
        raise ValueError(f"is too large: {found.st_size:,} bytes, and {_MAX_FILE_BYTES:,} are read at most")
    with _open_file(path) as file:  # mapped: Windows replaces no file that is
        yield SafetensorsFile(file)


def _open_file(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(str(path), framework="np")
    except SafetensorError as error:
        raise ValueError(f"is no safetensors file, or not all of it: {error}") from None
