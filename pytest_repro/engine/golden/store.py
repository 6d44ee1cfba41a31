"""Reads and writes golden files: under a lock, with each file replaced at once.

A golden file is text, with the arrays in a file beside it, by digest. Writing first adds the new arrays, then
replaces the text, then removes the arrays that the text no longer names: at any moment, even if the process
is killed, all arrays of the text exist.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_repro.core.golden import (
    EntryUpdate,
    Golden,
    collect_digests,
    format_golden,
    merge_updates,
    read_golden,
    remove_tests,
)
from pytest_repro.engine.golden.file_lock import lock_file

_MAX_NBYTES = 2**28
"""Size in bytes of the largest text that is read: two million observations."""


def get_values_path(path: Path) -> Path:
    """Path of the arrays of the golden file *path*."""
    return path.with_suffix(".safetensors")


def load_golden(path: Path) -> Golden:
    """The golden file at *path*, which is empty if it does not exist.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a golden file, or damaged; the message does not have the path.
    """
    return read_golden(content) if (content := _read_text(path)) else Golden()


def _read_text(path: Path) -> str:
    _check_folder(path.parent)
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")
    if status.st_size > _MAX_NBYTES:
        raise ValueError(f"is too large: {status.st_size:,} bytes, of at most {_MAX_NBYTES:,}")
    content = path.read_bytes()
    if not content:
        raise ValueError("is empty")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text: {error}") from None


def _check_folder(folder: Path) -> None:
    if folder.is_symlink():
        raise ValueError(
            f"is in a folder that is a symbolic link ({folder.name}): nothing is written elsewhere"
        )


def update_golden(
    path: Path,
    updates: Iterable[EntryUpdate] = (),
    arrays: Mapping[str, Any] | None = None,
    removed_nodeids: Collection[str] = (),
) -> None:
    """Merges *updates* into the golden file at *path*, and removes the entries of *removed_nodeids*.

    If nothing changes, and all *arrays* are stored already, nothing is written.

    Args:
        path: The text, which may not exist yet.
        updates: Entries to add or replace.
        arrays: Arrays of the values, by digest.
        removed_nodeids: Node ids of tests that no longer exist.

    Raises:
        OSError: It cannot be written; the old file is unchanged.
        ValueError: The old file cannot be read; it is unchanged.
    """
    _check_folder(path.parent)
    with lock_file(path.with_name(f".{path.stem}.lock")):
        _remove_leftovers(path)
        before = _read_text(path)
        golden = read_golden(before) if before else Golden()
        after = remove_tests(merge_updates(golden, updates), removed_nodeids)
        if after != golden or find_missing_values(
            get_values_path(path), (arrays or {}).keys() & collect_digests(after)
        ):
            _write(path, golden, after, arrays or {})
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
    """The arrays in *values_path*; None, without an import of safetensors, if there is no such file."""
    if not os.path.lexists(values_path):
        yield None
        return
    from pytest_repro.values.safetensors_file import open_safetensors

    try:
        with open_safetensors(values_path) as tensors:
            yield tensors
    except ValueError as error:
        raise ValueError(f"has values that cannot be read: {values_path.name} {error}") from None


def _write(path: Path, before: Golden, after: Golden, arrays: Mapping[str, Any]) -> None:
    values_path, needed = get_values_path(path), collect_digests(after)
    stored = _load_arrays(values_path, collect_digests(before) | needed)
    both = {**stored, **{name: arrays[name] for name in arrays.keys() & needed}}
    if both.keys() != stored.keys():
        _write_arrays(values_path, both)
    if after.tests:
        replace_file(path, format_golden(after).encode())
    else:
        path.unlink(missing_ok=True)
    left = {name: both[name] for name in both.keys() & needed}
    if not left:
        values_path.unlink(missing_ok=True)
    elif left.keys() != both.keys():
        _write_arrays(values_path, left)


def _load_arrays(values_path: Path, names: Collection[str]) -> dict[str, Any]:
    """The arrays of *names* that are stored already."""
    with _open_values(values_path) as tensors:
        stored = set() if tensors is None else tensors.names & set(names)
        arrays = {name: tensors.read_array(name) for name in stored}
    return {name: array for name, array in arrays.items() if array is not None}


def _write_arrays(values_path: Path, arrays: Mapping[str, Any]) -> None:
    from pytest_repro.values.safetensors_file import encode_arrays

    replace_file(values_path, encode_arrays(arrays))


def replace_file(path: Path, content: bytes) -> None:
    """Replaces the file at *path* at once; the caller holds the lock.

    Raises:
        OSError: It cannot be written; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Flushes the list of files of *folder*, so that a power cut does not bring the old file back."""
    with suppress(OSError):  # Windows cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_leftovers(path: Path) -> None:
    """Removes temporary files of a session that was killed while writing; the caller holds the lock."""
    prefixes = f".{path.name}.", f".{get_values_path(path).name}."
    for file in path.parent.iterdir():
        if file.name.startswith(prefixes) and file.name.endswith(".tmp"):
            with suppress(OSError):
                file.unlink()
