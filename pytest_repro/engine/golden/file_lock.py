"""A lock between processes: a file that exists only while a process holds the lock or waits for it."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TIMEOUT = 60.0
"""Seconds to wait for another session to finish writing."""


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Holds the lock file *path*, and removes it in the end; if the process is killed, the lock is released.

    Raises:
        OSError: Another process has held the lock for a minute.
    """
    until = time.monotonic() + _TIMEOUT
    while (file := _try_lock(path)) is None:
        if time.monotonic() > until:
            raise OSError(errno.EAGAIN, "another session has been writing there for a minute", str(path))
        time.sleep(0.01)
    try:
        yield
    finally:
        _release(file, path)


def _try_lock(path: Path) -> int | None:
    """The locked file; None if another process holds it, or has just removed it or its folder."""
    path.parent.mkdir(exist_ok=True)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except FileNotFoundError:
        return None
    try:
        _lock(file)
        if os.path.samestat(os.fstat(file), path.lstat()):
            return file
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except BaseException:
        os.close(file)
        raise
    os.close(file)
    return None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _release(file: int, path: Path) -> None:
        os.close(file)
        with suppress(OSError):  # another session has opened it, and will remove it
            path.unlink()

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(file: int, path: Path) -> None:
        with suppress(OSError):  # before it is released: whoever waits for it sees that it is gone
            path.unlink()
        os.close(file)
