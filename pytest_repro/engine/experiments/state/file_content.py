"""What is at a path before a run, to describe how it changed and to put it back."""

from __future__ import annotations

import os
from contextlib import suppress
from stat import S_IMODE, S_ISREG
from typing import NamedTuple

from pytest_repro.interpose.file_writes import open_file

MAX_FILE_NBYTES = 2**24
"""Larger files are neither kept nor restored."""


class FileContent(NamedTuple):
    """What is at a path: a ``"file"``, ``"folder"``, ``"nothing"``, or ``"other"``, which is not restored."""

    kind: str
    data: bytes = b""
    size: int = 0
    times: tuple[int, int] = (0, 0)  # of the last access and change, in ns
    mode: int = 0o666

    def equals(self, other: FileContent) -> bool:
        """Whether a program that reads it finds the same."""
        same = (self.kind, self.data, self.size) == (other.kind, other.data, other.size)
        return same and (self.kind != "other" or self.times == other.times)


NOTHING = FileContent("nothing")
"""Where nothing is."""


def read_path(path: str) -> FileContent:
    """What is at *path* now."""
    try:
        stat = os.lstat(path)
    except OSError:
        return NOTHING
    times = stat.st_atime_ns, stat.st_mtime_ns
    if os.path.isdir(path) and not os.path.islink(path):
        return FileContent("folder")
    if S_ISREG(stat.st_mode) and stat.st_size <= MAX_FILE_NBYTES:
        with suppress(OSError), open_file(path, "rb") as stream:
            return FileContent("file", stream.read(), stat.st_size, times, S_IMODE(stat.st_mode))
    return FileContent("other", b"", stat.st_size, times)


def describe_change(before: FileContent, now: FileContent) -> str:
    """How it changed, ``"is new"``; ``""`` if it did not."""
    if before.equals(now):
        return ""
    if before == NOTHING:
        return "is new"
    if now == NOTHING:
        return "is gone"
    if before.size != now.size:
        return f"{'grew' if now.size > before.size else 'shrank'} from {before.size} to {now.size} bytes"
    return "has other contents"


def remove_path(path: str) -> None:
    """Removes a file or an empty folder, if possible."""
    now = read_path(path)
    with suppress(OSError):
        if now.kind == "folder":
            os.rmdir(path)
        elif now.kind == "file":
            os.unlink(path)


def write_path(path: str, content: FileContent) -> None:
    """Makes what is at *path* what it was."""
    if content.kind == "folder":
        os.mkdir(path)
    elif content.kind == "file":
        with open_file(path, "wb") as stream:
            stream.write(content.data)
        os.chmod(path, content.mode)
        os.utime(path, ns=content.times)
