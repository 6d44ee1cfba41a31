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

from pytest_repro.values.dtypes import bits_of
from pytest_repro.values.hashing import digest

_PLAIN = {"bool", "float16", "float32", "float64"} | {
    f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)
}
# What safetensors and numpy both know; all else is stored as its bytes.

_LARGEST = 2**31
"""Bytes of a file that is read: what is larger no golden file needs."""


def array_of(element: str, shape: tuple[int, ...], content: bytes) -> Any:
    """*content* as an array to be stored: its own dtype where it has one, else bytes.

    Args:
        element: dtype name by which the bytes are read.
        shape: Lengths of the axes.
        content: Bytes in C order, little-endian.
    """
    if element not in _PLAIN:
        return np.frombuffer(content, "u1")
    return np.frombuffer(content, np.dtype(element).newbyteorder("<")).reshape(shape)


def written(arrays: Mapping[str, Any]) -> bytes:
    """The file that holds *arrays*, by name.

    Raises:
        ValueError: No session would read it: it is too large.
    """
    from safetensors.numpy import save

    size = sum(array.nbytes for array in arrays.values())
    if size > _LARGEST // 2:
        raise ValueError(
            f"would hold {size:,} bytes of values, and {_LARGEST // 2:,} are kept at most: "
            "lower repro_baseline_kb"
        )

    return bytes(save(dict(sorted(arrays.items()))))


def read_written(content: bytes) -> dict[str, Any]:
    """The arrays in what :func:`written` gave."""
    from safetensors.numpy import load

    return dict(load(content))


class Tensors:
    """A file that is open for reading.

    Args:
        opened: What safetensors made of it.
    """

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self.names = set(opened.keys())

    def array(self, name: str, most: int = _LARGEST) -> Any:
        """The array *name*; None where there is none, or it takes more than *most* bytes.

        Raises:
            ValueError: It is of a dtype that is not written here.
        """
        if name not in self.names:
            return None
        part = self._opened.get_slice(name)
        shape, count = part.get_shape(), 1
        for length in shape:
            count *= length
        if count > most:
            return None
        try:
            return self._opened.get_tensor(name)
        except Exception as error:  # whatever numpy and safetensors say of a dtype that we never write
            raise ValueError(f"is damaged: the value {name} cannot be read: {error}") from None

    def content(self, name: str, kind: str, nbytes: int, fixed: bool = True) -> memoryview | None:
        """The bytes of the value whose digest is *name*; None where they are not there.

        Args:
            name: Its digest.
            kind: dtype and shape.
            nbytes: How many bytes the value has that it is compared with.
            fixed: Whether it must have as many: all but text.

        Raises:
            ValueError: What stands under this name is something else.
        """
        if name not in self.names:
            return None
        found = self.array(name, nbytes if fixed else _LARGEST)
        raw = bits_of(np.ascontiguousarray(found)) if found is not None else memoryview(b"")
        if (fixed and raw.nbytes != nbytes) or digest(kind, [raw]) != name:
            raise ValueError(f"is damaged: the value {name} is another one")
        return raw


@contextmanager
def opened(path: Path) -> Iterator[Tensors | None]:
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
    if found.st_size > _LARGEST:
        raise ValueError(f"is too large: {found.st_size:,} bytes, and {_LARGEST:,} are read at most")
    with _read(path) as file:  # mapped: Windows replaces no file that is
        yield Tensors(file)


def _read(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(str(path), framework="np")
    except SafetensorError as error:
        raise ValueError(f"is no safetensors file, or not all of it: {error}") from None
