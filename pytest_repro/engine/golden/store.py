"""Golden files on the disk: read with suspicion, written under a lock, each file replaced at once.

The text is what counts; a value stands in the file beside it under its own digest. Written is first
the file of values with old and new ones, then the text, then the values that the text still names:
whoever dies in between leaves a text all of whose values are there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_repro.core.golden.golden import EntryUpdate, Golden, collect_digests, merge_updates, remove_tests
from pytest_repro.core.golden.golden_file import format_golden, read_golden
from pytest_repro.engine.golden.file_lock import lock_file

_MAX_NBYTES = 2**28
"""Bytes of a text that is read: two million observations."""


def get_values_path(path: Path) -> Path:
    """Where the values of the golden file *path* are."""
    return path.with_suffix(".safetensors")


def load_golden(path: Path) -> Golden:
    """What the golden file at *path* holds: nothing where there is none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is none, or damaged; the message says what is wrong, not where it is.
    """
    return read_golden(content) if (content := _read_text(path)) else Golden()


def _read_text(path: Path) -> str:
    _check_folder(path.parent)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("is no plain file")
    if found.st_size > _MAX_NBYTES:
        raise ValueError(f"is too large: {found.st_size:,} bytes, and {_MAX_NBYTES:,} are read at most")
    content = path.read_bytes()
    if not content:
        raise ValueError("is empty")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is no text: {error}") from None


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

    Where nothing changes, and every value of *arrays* is there, no byte is written.

    Args:
        path: The text; it need not be there.
        updates: Entries.
        arrays: Values, by digest.
        removed_nodeids: Node ids.

    Raises:
        OSError: It cannot be written; what was there before is there still.
        ValueError: What is there cannot be read; it is left as it is.
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
    with suppress(OSError):  # it is empty no longer where another session has come
        path.parent.rmdir()


def find_missing_values(values_path: Path, names: Collection[str]) -> set[str]:
    """Which of the values *names* are not in the file *values_path* a text.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file of values.
    """
    with _open_values(values_path) as there:
        return set(names) - (there.names if there is not None else set())


@contextmanager
def _open_values(values_path: Path) -> Iterator[Any]:
    """The values of *values_path*; None, and safetensors stays unimported, where there are none."""
    if not os.path.lexists(values_path):
        yield None
        return
    from pytest_repro.values.safetensors_file import open_safetensors

    try:
        with open_safetensors(values_path) as there:
            yield there
    except ValueError as error:
        raise ValueError(f"has values that cannot be read: {values_path.name} {error}") from None


def _write(path: Path, before: Golden, after: Golden, arrays: Mapping[str, Any]) -> None:
    beside, needed = get_values_path(path), collect_digests(after)
    kept = _load_arrays(beside, collect_digests(before) | needed)
    both = {**kept, **{name: arrays[name] for name in arrays.keys() & needed}}
    if both.keys() != kept.keys():
        _write_arrays(beside, both)
    if after.tests:
        replace_file(path, format_golden(after).encode())
    else:
        path.unlink(missing_ok=True)
    left = {name: both[name] for name in both.keys() & needed}
    if not left:
        beside.unlink(missing_ok=True)
    elif left.keys() != both.keys():
        _write_arrays(beside, left)


def _load_arrays(values_path: Path, names: Collection[str]) -> dict[str, Any]:
    """The arrays that are stored already."""
    with _open_values(values_path) as there:
        found = {} if there is None else {name: there.read_array(name) for name in there.names & set(names)}
    return {name: array for name, array in found.items() if array is not None}


def _write_arrays(values_path: Path, arrays: Mapping[str, Any]) -> None:
    from pytest_repro.values.safetensors_file import encode_arrays

    replace_file(values_path, encode_arrays(arrays))


def replace_file(path: Path, content: bytes) -> None:
    """Puts *content* in the place of *path* at once; whoever holds the lock is the only one to.

    Raises:
        OSError: It cannot be written; what was there before is there still.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Has the folder's own list of files written: a power cut must not bring the old one back."""
    with suppress(OSError):  # Windows opens no folders
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


def _remove_leftovers(path: Path) -> None:
    """Removes what a session left that was killed as it wrote: only who holds the lock writes."""
    names = f".{path.name}.", f".{get_values_path(path).name}."
    for each in path.parent.iterdir():
        if each.name.startswith(names) and each.name.endswith(".tmp"):
            with suppress(OSError):
                each.unlink()
