"""Values in a safetensors file, each named by the digest of its kind and bytes.

The name says what the value must be: a file that does not belong to the text beside it holds the right
value or none. Reading it executes no code.
"""

from __future__ import annotations

import math
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
# What both safetensors and numpy support; everything else is stored as bytes.

_MAX_FILE_BYTES = 2**31  # size of the largest file that is read: golden files are smaller


def as_storable_array(dtype: str, shape: tuple[int, ...], content: bytes) -> Any:
    """*content*, little-endian in C order, as an array to store: of its own dtype if possible, else bytes."""
    if dtype not in _NATIVE_DTYPES:
        return np.frombuffer(content, "u1")
    return np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def encode_arrays(arrays: Mapping[str, Any]) -> bytes:
    """The content of a file with *arrays*, by name.

    Raises:
        ValueError: It would be too large to be read.
    """
    from safetensors.numpy import save

    size = sum(array.nbytes for array in arrays.values())
    if size > _MAX_FILE_BYTES // 2:
        limit = f"at most {_MAX_FILE_BYTES // 2:,} are kept"
        raise ValueError(f"would hold {size:,} bytes of values, and {limit}: lower repro_baseline_kb")
    return bytes(save(dict(sorted(arrays.items()))))


def decode_arrays(content: bytes) -> dict[str, Any]:
    """The arrays in the result of :func:`encode_arrays`."""
    from safetensors.numpy import load

    return dict(load(content))


class SafetensorsFile:
    """A file that is open for reading; *file* as opened by safetensors."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.names = set(file.keys())

    def read_array(self, name: str, max_bytes: int = _MAX_FILE_BYTES) -> Any:
        """The array *name*; None if it is missing or has more than *max_bytes* elements.

        Raises:
            ValueError: Its dtype is one that this package does not write.
        """
        if name not in self.names or math.prod(self._file.get_slice(name).get_shape()) > max_bytes:
            return None
        try:
            return self._file.get_tensor(name)
        except Exception as error:  # any error of numpy or safetensors, for a dtype that we never write
            raise ValueError(f"is damaged: the value {name} cannot be read: {error}") from None

    def read_bytes(self, name: str, kind: str, nbytes: int, exact_size: bool = True) -> memoryview | None:
        """The bytes of the value with the digest *name*; None if it is missing.

        Args:
            name: Its digest.
            kind: dtype and shape.
            nbytes: Size of the value that it is compared with.
            exact_size: Whether the sizes must be equal: for everything but text.

        Raises:
            ValueError: The file holds something else under this name.
        """
        if name not in self.names:
            return None
        array = self.read_array(name, nbytes if exact_size else _MAX_FILE_BYTES)
        raw = view_bytes(np.ascontiguousarray(array)) if array is not None else memoryview(b"")
        if (exact_size and raw.nbytes != nbytes) or digest(kind, [raw]) != name:
            raise ValueError(f"is damaged: the value {name} has another digest")
        return raw


@contextmanager
def open_safetensors(path: Path) -> Iterator[SafetensorsFile | None]:
    """Opens the file at *path*; None if there is none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a regular file or not a safetensors file; the message says which.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        yield None
        return
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")
    if status.st_size > _MAX_FILE_BYTES:
        raise ValueError(f"is too large: {status.st_size:,} bytes, and at most {_MAX_FILE_BYTES:,} are read")
    from safetensors import SafetensorError, safe_open

    try:
        opened = safe_open(str(path), framework="np")
    except SafetensorError as error:
        raise ValueError(f"is not a safetensors file, or incomplete: {error}") from None
    with opened as file:  # closed at the end: Windows cannot replace a mapped file
        yield SafetensorsFile(file)
