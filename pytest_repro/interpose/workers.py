"""Processes that a program forks: how to recognize and number them, and what they call."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from pytest_repro.interpose.patch import make_patch, patch_everywhere
from pytest_repro.interpose.user_frames import caller_frame, classify_frame

_getpid = os.getpid  # kept before a block replaces it
_owner = _getpid()
_fork_count = 0
_FIRST_NUMBER = 1000

Entry = tuple[str, str, str, str]
"""The first four fields of an :class:`~pytest_repro.core.diagnose.ExternalCall`."""


def _count_fork() -> None:
    global _fork_count
    _fork_count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_count_fork)


def is_worker() -> bool:
    """Whether this process was forked after the last :class:`WorkerCalls` was made."""
    return _getpid() != _owner


def _open_shared_file() -> IO[bytes]:
    """A file without a name, which forked processes inherit; in memory if possible: 20 times as fast."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("calls"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


class WorkerCalls:
    """Sends the calls that forked processes log to this one, which they do not outlive."""

    def __init__(self) -> None:
        global _owner
        _owner = _getpid()
        self._file, self._lines = _open_shared_file(), b""

    def send(self, entry: Entry) -> None:
        """Sends what is known of a call. Short lines that are appended do not mix."""
        self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(entry).encode() + b"\n")

    def receive(self) -> list[Entry]:
        """What was sent so far, each once."""
        if not self._file.closed:
            self._file.seek(0)
            self._lines = self._file.read()
        return [tuple(json.loads(line)) for line in dict.fromkeys(self._lines.splitlines())]

    def close(self) -> None:
        self.receive()
        self._file.close()


@contextmanager
def numbered_workers() -> Iterator[None]:
    """The user's code in a process that is forked in the block gets the number of that fork as its id."""
    global _fork_count
    owner, _fork_count = _getpid(), 0

    def number_or_getpid() -> int:
        is_users = classify_frame(caller_frame(sys._getframe(1))) == "user"
        return _FIRST_NUMBER + _fork_count if is_users and _getpid() != owner else _getpid()

    with patch_everywhere([make_patch(os, "getpid", number_or_getpid)]):
        yield
