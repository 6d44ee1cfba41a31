"""Stores the values of the reference run under a memory budget, to measure differences to other runs."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

from pytest_repro.core.runs.observation import ContentRef, Leaf
from pytest_repro.values.hashing import digest


class ValueBuffer(Protocol):
    """Bytes that are read slice by slice."""

    def __getitem__(self, part: slice, /) -> memoryview:
        """The bytes of *part*."""


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A value in the temporary file of the store: a memory map would count as used memory."""

    file: IO[bytes]
    offset: int
    nbytes: int

    def __getitem__(self, part: slice) -> memoryview:
        start, stop, _ = part.indices(self.nbytes)
        self.file.seek(self.offset + start)
        return memoryview(self.file.read(stop - start))


class SpillStore:
    """Stores bytes: in memory up to *budget*, beyond it in one temporary file."""

    def __init__(self, budget: int) -> None:
        self.budget = self._memory_left = budget
        self._file: IO[bytes] | None = None
        self._file_size = 0

    def put(self, leaf: Leaf) -> ContentRef:
        """Stores the bytes of *leaf* and digests them in the same pass.

        If the disk is full, only the digest is stored: the verdict stays correct, the distance is unknown.
        """
        if leaf.nbytes <= self._memory_left:
            self._memory_left -= leaf.nbytes
            copy = _copy_bytes(leaf)
            return ContentRef(digest(leaf.kind, [memoryview(copy)]), copy)
        try:
            return self._spill(leaf)
        except OSError:
            if self._file is not None:
                self._file.truncate(self._file_size)  # the test may need the space
            return ContentRef(digest(leaf.kind, leaf.read_chunks()))

    def _spill(self, leaf: Leaf) -> ContentRef:
        if self._file is None:
            # Unbuffered: closing must not write again what a full disk refused.
            self._file = tempfile.TemporaryFile(prefix="pytest-repro-", buffering=0)  # noqa: SIM115
        location = FileSlice(self._file, self._file_size, leaf.nbytes)
        self._file.seek(self._file_size)
        content_digest = digest(leaf.kind, _write_through(leaf.read_chunks(), self._file))
        self._file_size += leaf.nbytes
        return ContentRef(content_digest, location)

    def get(self, stored: ContentRef) -> ValueBuffer | None:
        """The bytes of *stored*; None if only the digest was stored."""
        if isinstance(stored.storage, FileSlice):
            return stored.storage if self._file is not None else None
        return memoryview(stored.storage) if isinstance(stored.storage, (bytes, mmap.mmap)) else None

    @staticmethod
    def get_nbytes(stored: ContentRef) -> int:
        """Number of stored bytes; 0 if only the digest was stored."""
        storage: Any = stored.storage
        return storage.nbytes if isinstance(storage, FileSlice) else len(storage or b"")

    def close(self) -> None:
        """Deletes the temporary file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> SpillStore:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _copy_bytes(leaf: Leaf) -> bytes | mmap.mmap:
    stream = iter(leaf.read_chunks())
    first = next(stream, b"")
    if memoryview(first).nbytes == leaf.nbytes:
        return bytes(first)
    # An anonymous map gets its pages as they are written, without zeroing or a second copy.
    copy = mmap.mmap(-1, leaf.nbytes)
    copy.write(first)
    for piece in stream:
        copy.write(piece)
    return copy


def _write_through(pieces: Iterable[memoryview], file: IO[bytes]) -> Iterator[memoryview]:
    for piece in pieces:
        rest = piece
        while rest.nbytes:  # a raw file may write only a part
            rest = rest[file.write(rest) :]
        yield piece
