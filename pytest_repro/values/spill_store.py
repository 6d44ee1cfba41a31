"""Keeps the values of the reference run, under a budget, to say later how far another run is."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Protocol

from pytest_repro.core.runs.observation import ContentRef, Leaf
from pytest_repro.values.hashing import digest


@dataclass(frozen=True, slots=True)
class InMemory:
    """Values kept as they are."""

    buffer: bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Values written to the shelf's temporary file."""

    offset: int
    nbytes: int


class ValueBuffer(Protocol):
    """Bytes that are read slice by slice; those on disk never come back as a whole."""

    def __getitem__(self, part: slice, /) -> memoryview:
        """The bytes of *part*."""


class _FileBuffer:
    """Reads from the file what is asked for; mapping it would count as memory in use."""

    def __init__(self, file: IO[bytes], location: OnDisk) -> None:
        self._file, self._location = file, location

    def __getitem__(self, part: slice) -> memoryview:
        start, stop, _ = part.indices(self._location.nbytes)
        self._file.seek(self._location.offset + start)
        return memoryview(self._file.read(stop - start))


class SpillStore:
    """Keeps bytes: in memory up to a budget, beyond it in one temporary file.

    Args:
        budget: Bytes that may be kept in memory.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._memory_left = budget
        self._file: IO[bytes] | None = None
        self._file_size = 0

    def put(self, leaf: Leaf) -> ContentRef:
        """Keeps the bytes of *leaf* and digests them in the same pass.

        Where the disk is full only the digest is kept: the verdict holds, the distance is lost.
        """
        if leaf.nbytes <= self._memory_left:
            self._memory_left -= leaf.nbytes
            kept = _copy_bytes(leaf)
            return ContentRef(digest(leaf.kind, [memoryview(kept)]), InMemory(kept))
        try:
            return self._spill(leaf)
        except OSError:
            if self._file is not None:
                self._file.truncate(self._file_size)  # the test may need the room
            return ContentRef(digest(leaf.kind, leaf.read_chunks()))

    def _spill(self, leaf: Leaf) -> ContentRef:
        if self._file is None:
            # Unbuffered: what a full disk refused must not come up again when the file is closed.
            self._file = tempfile.TemporaryFile(prefix="pytest-repro-", buffering=0)  # noqa: SIM115
        place = OnDisk(self._file_size, leaf.nbytes)
        self._file.seek(self._file_size)
        found = digest(leaf.kind, _write_through(leaf.read_chunks(), self._file))
        self._file_size += leaf.nbytes
        return ContentRef(found, place)

    def get(self, stored: ContentRef) -> ValueBuffer | None:
        """The bytes of *stored*, or None when they were not kept."""
        if isinstance(stored.storage, InMemory):
            return memoryview(stored.storage.buffer)
        if isinstance(stored.storage, OnDisk) and self._file is not None:
            return _FileBuffer(self._file, stored.storage)
        return None

    @staticmethod
    def get_nbytes(stored: ContentRef) -> int:
        """Number of the bytes of *stored*; 0 when they were not kept."""
        place = stored.storage
        return place.nbytes if isinstance(place, OnDisk) else len(getattr(place, "buffer", b""))

    def close(self) -> None:
        """Lets go of everything kept."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> SpillStore:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _copy_bytes(leaf: Leaf) -> bytes | mmap.mmap:
    stream = iter(leaf.read_chunks())
    first = next(stream, b"")
    if memoryview(first).nbytes == leaf.nbytes:
        return bytes(first)
    # An anonymous map takes its pages as they are written: no zeros first, no second copy.
    kept = mmap.mmap(-1, leaf.nbytes)
    kept.write(first)
    for piece in stream:
        kept.write(piece)
    return kept


def _write_through(pieces: Iterable[memoryview], file: IO[bytes]) -> Iterator[memoryview]:
    for piece in pieces:
        rest = piece
        while rest.nbytes:  # a raw file may take a part only
            rest = rest[file.write(rest) :]
        yield piece
