"""Reads and writes golden files: under a lock, with each file replaced at once.

A golden file is text, with the arrays in a file beside it, by digest. Writing first adds the new arrays, then
replaces the text, then removes the arrays that the text no longer names: at any moment, even if the process
is killed, all arrays of the text exist.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_repro.core.files import replace_file
from pytest_repro.core.golden import (
    EntryUpdate,
    Golden,
    collect_digests,
    format_golden,
    merge_updates,
    read_golden,
    remove_tests,
)

_MAX_NBYTES = 2**28
"""Size in bytes of the largest text that is read: two million observations."""

_LOCK_TIMEOUT = 60.0
"""Seconds to wait for another session to finish writing."""


def get_values_path(path: Path) -> Path:
    """Path of the arrays of the golden file *path*."""
    return path.with_suffix(".safetensors")


def load_golden(path: Path) -> Golden:
    """The golden file at *path*, which is empty if it does not exist.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a golden file, or damaged; the message does not have the path.
    """
    _check_folder(path.parent)
    try:
        status = path.lstat()
    except FileNotFoundError:
        return Golden()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")
    if status.st_size > _MAX_NBYTES:
        raise ValueError(f"is too large: {status.st_size:,} bytes, of at most {_MAX_NBYTES:,}")
    content = path.read_bytes()
    if not content:
        raise ValueError("is empty")
    try:
        return read_golden(content.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text: {error}") from None


def _check_folder(folder: Path) -> None:
    if folder.is_symlink():
        where = f"is in a folder that is a symbolic link ({folder.name})"
        raise ValueError(f"{where}: nothing is written elsewhere")


def update_golden(
    path: Path,
    updates: Iterable[EntryUpdate] = (),
    arrays: Mapping[str, Any] | None = None,
    removed_nodeids: Collection[str] = (),
) -> None:
    """Merges *updates* into the golden file at *path*, and removes the entries of *removed_nodeids*.

    If nothing changes, and all *arrays* (by digest) are stored already, nothing is written.

    Raises:
        OSError: It cannot be written; the old file is unchanged.
        ValueError: The old file cannot be read; it is unchanged.
    """
    _check_folder(path.parent)
    with lock_file(path.with_name(f".{path.stem}.lock")):
        _remove_leftovers(path)
        before, arrays = load_golden(path), arrays or {}
        after = remove_tests(merge_updates(before, updates), removed_nodeids)
        names = arrays.keys() & collect_digests(after)
        if after != before or find_missing_values(get_values_path(path), names):
            _write(path, before, after, arrays)
    with suppress(OSError):  # another session has written into it
        path.parent.rmdir()


def find_missing_values(values_path: Path, names: Collection[str]) -> set[str]:
    """The digests in *names* that have no array in the file *values_path*.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a file of arrays.
    """
    with _open_values(values_path) as tensors:
        return set(names) - (tensors.names if tensors is not None else set())


@contextmanager
def _open_values(values_path: Path) -> Iterator[Any]:
    """The arrays in *values_path*; None if there is no such file."""
    from pytest_repro.values.safetensors_file import open_safetensors

    try:
        with open_safetensors(values_path) as tensors:
            yield tensors
    except ValueError as error:
        raise ValueError(f"has values that cannot be read: {values_path.name} {error}") from None


def _write(path: Path, before: Golden, after: Golden, arrays: Mapping[str, Any]) -> None:
    from pytest_repro.values.safetensors_file import encode_arrays

    values_path, needed = get_values_path(path), collect_digests(after)
    stored = _load_arrays(values_path, collect_digests(before) | needed)
    both = {**stored, **{name: arrays[name] for name in arrays.keys() & needed}}
    if both.keys() != stored.keys():
        replace_file(values_path, [encode_arrays(both)])
    if after.tests:
        replace_file(path, [format_golden(after)])
    else:
        path.unlink(missing_ok=True)
    left = {name: both[name] for name in both.keys() & needed}
    if not left:
        values_path.unlink(missing_ok=True)
    elif left.keys() != both.keys():
        replace_file(values_path, [encode_arrays(left)])


def _load_arrays(values_path: Path, names: Collection[str]) -> dict[str, Any]:
    with _open_values(values_path) as tensors:
        stored = tensors.names & set(names) if tensors is not None else ()
        arrays = {name: tensors.read_array(name) for name in stored}
    return {name: array for name, array in arrays.items() if array is not None}


def _remove_leftovers(path: Path) -> None:
    """Removes temporary files of a session that was killed while writing; the caller holds the lock."""
    prefixes = f".{path.name}.", f".{get_values_path(path).name}."
    for file in path.parent.iterdir():
        if file.name.startswith(prefixes) and file.name.endswith(".tmp"):
            with suppress(OSError):
                file.unlink()


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Holds the lock file *path* in the block, then removes it; the lock of a killed process is released.

    Raises:
        OSError: Another process has held the lock for a minute.
    """
    until = time.monotonic() + _LOCK_TIMEOUT
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
    with ExitStack() as stack:
        stack.callback(os.close, file)
        with suppress(BlockingIOError, PermissionError, FileNotFoundError):
            _lock(file)
            if os.path.samestat(os.fstat(file), path.lstat()):
                stack.pop_all()
                return file
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
