from __future__ import annotations

import errno
import mmap
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_repro.core.runs.observation import Leaf
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import FileSlice, SpillStore


def leaf(*pieces: bytes) -> Leaf:
    def read() -> Iterator[memoryview]:
        buffer = bytearray()
        for piece in pieces:  # one buffer, used again: a piece is valid until the next is taken
            buffer = bytearray(piece) if len(buffer) != len(piece) else buffer
            buffer[:] = piece
            yield memoryview(buffer)

    return Leaf("bytes", "uint8", (), sum(map(len, pieces)), read)


@pytest.fixture
def shelf() -> Iterator[SpillStore]:
    with SpillStore(budget=10) as found:
        yield found


def kept(shelf: SpillStore, stored: Any) -> bytes | None:
    found = shelf.get(stored)
    return None if found is None else bytes(found[:])


@pytest.mark.parametrize("pieces", [(b"12345",), (b"123", b"45"), (b"12", b"34", b"5"), (b"",), ()])
def test_keeps_bytes_in_memory_and_digests_them(shelf: SpillStore, pieces: tuple[bytes, ...]) -> None:
    stored = shelf.put(leaf(*pieces))
    assert isinstance(stored.storage, (bytes, mmap.mmap))
    assert stored.digest == digest("bytes", [memoryview(b"".join(pieces))])
    assert kept(shelf, stored) == b"".join(pieces)


def test_beyond_the_budget_bytes_go_to_a_file(shelf: SpillStore) -> None:
    values = [b"12345678", b"abc", b"12345", b"d", b"e" * 100]
    stored = [shelf.put(leaf(value[:2], value[2:])) for value in values]
    assert [isinstance(each.storage, FileSlice) for each in stored] == [False, True, True, False, True]
    assert [kept(shelf, each) for each in reversed(stored)] == values[::-1]


def test_the_value_may_change_once_it_is_kept(shelf: SpillStore) -> None:
    buffer = bytearray(b"before")
    stored = shelf.put(Leaf("bytes", "uint8", (), 6, lambda: [memoryview(buffer)]))
    buffer[:] = b"later!"
    assert kept(shelf, stored) == b"before"


class Full:
    """A file on a full disk: it takes a part, then nothing."""

    def __init__(self, room: int) -> None:
        self.room = room

    def seek(self, place: int) -> None:
        pass

    def write(self, piece: memoryview) -> int:
        taken = min(self.room, piece.nbytes)
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= taken
        return taken

    def truncate(self, size: int) -> None:
        self.cut = size

    def close(self) -> None:
        pass


def test_a_full_disk_leaves_the_digest_alone(shelf: SpillStore, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Full(room=7)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full)
    stored = shelf.put(leaf(b"123456", b"789012"))
    assert stored.digest == digest("bytes", [memoryview(b"123456789012")])
    assert kept(shelf, stored) is None
    assert full.cut == 0  # the test may need the room


def test_a_file_that_takes_a_part_at_a_time_gets_all(
    shelf: SpillStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Any = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    class Slow:
        seek, close, read, fileno = real.seek, real.close, real.read, real.fileno

        def write(self, piece: memoryview) -> int:
            return int(real.write(piece[:3]))

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Slow())
    assert kept(shelf, shelf.put(leaf(b"12345678901234"))) == b"12345678901234"


def test_nothing_on_disk_is_left_after_closing(shelf: SpillStore) -> None:
    stored = shelf.put(leaf(b"more than ten"))
    shelf.close()
    shelf.close()
    assert kept(shelf, stored) is None
