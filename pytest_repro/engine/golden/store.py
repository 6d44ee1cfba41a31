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

from pytest_repro.core.golden.golden import Golden, Update, digests, merged, without
from pytest_repro.core.golden.golden_file import read, text
from pytest_repro.engine.golden.file_lock import locked

_LARGEST = 2**28
"""Bytes of a text that is read: two million observations."""


def values_beside(path: Path) -> Path:
    """Where the values of the golden file *path* are."""
    return path.with_suffix(".safetensors")


def load(path: Path) -> Golden:
    """What the golden file at *path* holds: nothing where there is none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is none, or damaged; the message says what is wrong, not where it is.
    """
    return read(content) if (content := _content(path)) else Golden()


def _content(path: Path) -> str:
    _checked_folder(path.parent)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("is no plain file")
    if found.st_size > _LARGEST:
        raise ValueError(f"is too large: {found.st_size:,} bytes, and {_LARGEST:,} are read at most")
    content = path.read_bytes()
    if not content:
        raise ValueError("is empty")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is no text: {error}") from None


def _checked_folder(folder: Path) -> None:
    if folder.is_symlink():
        raise ValueError(
            f"is in a folder that is a symbolic link ({folder.name}): nothing is written elsewhere"
        )


def store(
    path: Path,
    updates: Iterable[Update] = (),
    arrays: Mapping[str, Any] | None = None,
    gone: Collection[str] = (),
) -> None:
    """Merges *updates* into the golden file at *path*, and removes the entries of *gone*.

    Where nothing changes, and every value of *arrays* is there, no byte is written.

    Args:
        path: The text; it need not be there.
        updates: Entries.
        arrays: Values, by digest.
        gone: Node ids.

    Raises:
        OSError: It cannot be written; what was there before is there still.
        ValueError: What is there cannot be read; it is left as it is.
    """
    _checked_folder(path.parent)
    with locked(path.with_name(f".{path.stem}.lock")):
        _sweep(path)
        before = _content(path)
        golden = read(before) if before else Golden()
        after = without(merged(golden, updates), gone)
        if after != golden or lacking(values_beside(path), (arrays or {}).keys() & digests(after)):
            _write(path, golden, after, arrays or {})
    with suppress(OSError):  # it is empty no longer where another session has come
        path.parent.rmdir()


def lacking(beside: Path, names: Collection[str]) -> set[str]:
    """Which of the values *names* are not in the file *beside* a text.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file of values.
    """
    with _values(beside) as there:
        return set(names) - (there.names if there is not None else set())


@contextmanager
def _values(beside: Path) -> Iterator[Any]:
    """The values of *beside*; None, and safetensors stays unimported, where there are none."""
    if not os.path.lexists(beside):
        yield None
        return
    from pytest_repro.values.safetensors_file import opened

    try:
        with opened(beside) as there:
            yield there
    except ValueError as error:
        raise ValueError(f"has values that cannot be read: {beside.name} {error}") from None


def _write(path: Path, before: Golden, after: Golden, arrays: Mapping[str, Any]) -> None:
    beside, needed = values_beside(path), digests(after)
    kept = _kept(beside, digests(before) | needed)
    both = {**kept, **{name: arrays[name] for name in arrays.keys() & needed}}
    if both.keys() != kept.keys():
        _put(beside, both)
    if after.tests:
        replaced(path, text(after).encode())
    else:
        path.unlink(missing_ok=True)
    left = {name: both[name] for name in both.keys() & needed}
    if not left:
        beside.unlink(missing_ok=True)
    elif left.keys() != both.keys():
        _put(beside, left)


def _kept(beside: Path, names: Collection[str]) -> dict[str, Any]:
    """The arrays that are stored already."""
    with _values(beside) as there:
        found = {} if there is None else {name: there.array(name) for name in there.names & set(names)}
    return {name: array for name, array in found.items() if array is not None}


def _put(beside: Path, arrays: Mapping[str, Any]) -> None:
    from pytest_repro.values.safetensors_file import written

    replaced(beside, written(arrays))


def replaced(path: Path, content: bytes) -> None:
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
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Has the folder's own list of files written: a power cut must not bring the old one back."""
    with suppress(OSError):  # Windows opens no folders
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


def _sweep(path: Path) -> None:
    """Removes what a session left that was killed as it wrote: only who holds the lock writes."""
    names = f".{path.name}.", f".{values_beside(path).name}."
    for each in path.parent.iterdir():
        if each.name.startswith(names) and each.name.endswith(".tmp"):
            with suppress(OSError):
                each.unlink()
