"""The files that runs write, and what they were before: the state that a run leaves on disk for the next.

Only what the test's own code writes is put back, and only below the working folder, the folder for temporary
files and the folders of fixtures.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import PurePath
from stat import S_ISREG
from typing import Any, NamedTuple

from pytest_repro.core.diagnose import Change, StateRoot
from pytest_repro.engine.experiments.process_state import Setter, StateVisitor
from pytest_repro.interpose.file_writes import open_file
from pytest_repro.interpose.user_frames import classify_code

MAX_FILE_NBYTES = 2**24
"""Larger files are neither kept nor restored."""

MAX_NBYTES = 2**26
"""All kept files together."""

_MAX_FILES = 1000


class _Content(NamedTuple):
    """What is at a path: a ``"file"``, ``"folder"``, ``"nothing"``, or ``"other"``, which is not restored."""

    kind: str
    data: bytes = b""
    size: int = 0
    times: tuple[int, int] = (0, 0)

    def equals(self, other: _Content) -> bool:
        same = (self.kind, self.data, self.size) == (other.kind, other.data, other.size)
        return same and (self.kind != "other" or self.times == other.times)


_NOTHING = _Content("nothing")


class FileStates:
    """Keeps what runs overwrite, to put it back.

    What was there before the body of the first run counts: files that a wider fixture has written stay.
    """

    def __init__(self) -> None:
        self._original: dict[str, _Content] = {}  # before the first run
        self._before: dict[str, _Content] = {}  # before the body of the first run
        self._locations: dict[str, str] = {}
        self._own_folders: set[str] = set()  # that pytest made for one run
        self._here, self._temporary = map(os.path.realpath, (_get_folder(), tempfile.gettempdir()))
        self._places: dict[str, str] = {}  # folders outside of the working folder, and how messages name them
        self._scanned: dict[str, str] = {}  # folders of fixtures, and where these are defined
        self._nbytes = 0

    def note(self, path: str, location: str) -> None:
        """Keeps what is at *path*, which *location* is about to change; ``""``: pytest makes a folder."""
        if not location:
            self._own_folders.add(path)
        else:
            self._keep(path, location)

    def _keep(self, path: str, location: str, content: _Content | None = None) -> None:
        if path in self._original or len(self._original) >= _MAX_FILES:
            return
        content = content or _read(path)
        self._nbytes += len(content.data)
        if self._nbytes > MAX_NBYTES:
            content = content._replace(kind="other", data=b"")
        self._original[path] = self._before[path] = content
        self._locations[path] = location

    def begin_body(self, roots: Mapping[str, StateRoot]) -> None:
        """The set-up of the first run has ended."""
        finder = _FolderFinder()
        finder.visit_roots({name: root for name, root in roots.items() if _is_users(root.location)})
        self._places = {path: name for path, name in finder.places.items() if path != self._temporary}
        for path in self._before:
            self._before[path] = _read(path)
        self._scanned = {
            path: roots[name].location
            for path, name in self._places.items()
            if name in roots and self._may_scan(path)
        }
        for path, location in self._scan():
            self._keep(path, location)

    def _find_more_places(self) -> None:
        """Folders that globals name, outside of the working folder."""
        if self._before:
            finder = _FolderFinder()
            finder.visit_modules()
            found = {path: name for path, name in finder.places.items() if not _is_inside(path, self._here)}
            found.pop(self._temporary, None)
            self._places = {**found, **self._places}

    def _may_scan(self, path: str) -> bool:
        """Whether what compiled code writes there is this test's: only a fixture's own temporary folder."""
        inside = _is_inside(path, self._temporary) and path != self._temporary
        return inside and not any(_is_inside(folder, path) and folder != path for folder in self._own_folders)

    def _scan(self) -> Iterator[tuple[str, str]]:
        for place, location in self._scanned.items():
            files = (os.path.join(folder, n) for folder, _, names in os.walk(place) for n in names)
            yield from ((path, location) for path in islice(files, _MAX_FILES))

    def _keep_new(self) -> None:
        for path, location in self._scan():
            self._keep(path, location, _NOTHING)
        self._find_more_places()

    def list_changes(self) -> Iterator[Change]:
        """What is not as it was before, without what is in a folder that is new itself."""
        self._keep_new()
        new = [path for path, content in self._before.items() if content == _NOTHING]
        for path, before in self._before.items():
            is_part = any(path.startswith(f"{folder}{os.sep}") for folder in new)
            description = "" if is_part or self._is_of_one_run(path) else _describe(before, _read(path))
            if description:
                yield Change(self._name(path), description, self._locations[path])

    def _is_of_one_run(self, path: str) -> bool:
        own = _find_place(path, self._own_folders)
        return bool(own) and len(_find_place(path, self._places)) < len(own)

    def _name(self, path: str) -> str:
        """How messages name it, in all processes: where a fixture's folder is may differ."""
        place = _find_place(path, self._places)
        if _is_inside(path, self._here) and len(place) <= len(self._here):
            return f"file {os.path.relpath(path, self._here)}"
        if not place:
            return f"file {path}"
        name = os.path.relpath(path, place) if place != path else os.path.basename(path)
        return f"file {name} in {self._places[place]}"

    def restore(self, names: Collection[str]) -> set[str]:
        """Makes the files of *names* what they were before the body of the first run.

        Returns:
            Those that could not be restored.
        """
        self._keep_new()
        named = {path: self._name(path) for path in self._before}
        tops = {path for path, name in named.items() if name in names}
        paths = [path for path in named if any(_is_inside(path, top) for top in tops)]
        failed = self._put_back({path: self._before[path] for path in paths})
        return {named[top] for top in tops if any(_is_inside(path, top) for path in failed)}

    def list_names(self) -> set[str]:
        """The names of everything that was written."""
        return set(map(self._name, self._before))

    def restore_all(self) -> None:
        """Makes all files what they were before the first run."""
        self._put_back(self._original)

    def _put_back(self, contents: Mapping[str, _Content]) -> set[str]:
        """Removes what is new, then writes the rest; the paths that could not be made what they were."""
        for path in sorted(contents, reverse=True):
            if self._may_change(path) and contents[path] == _NOTHING:
                _remove(path)
        for path in sorted(contents):
            if self._may_change(path) and not _read(path).equals(contents[path]):
                with suppress(OSError):
                    _write(path, contents[path])
        return {path for path, content in contents.items() if not _read(path).equals(content)}

    def _may_change(self, path: str) -> bool:
        """Whether it is where tests write, not where libraries keep what they share between programs."""
        place = _find_place(path, (self._here, self._temporary, *self._places))
        return bool(place) and not any(part.startswith(".") for part in PurePath(path[len(place) :]).parts)


def _find_place(path: str, places: Iterable[str]) -> str:
    """The innermost of the folders *places* that holds *path*; ``""`` if none does."""
    return max((folder for folder in places if _is_inside(path, folder)), key=len, default="")


class _FolderFinder(StateVisitor):
    """Finds the folders and files that values name."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, str] = {}

    def on_value(self, name: str, value: Any, setter: Setter | None) -> None:
        if isinstance(value, (str, PurePath)) and os.path.isabs(value) and os.path.exists(value):
            path = os.path.realpath(value)
            if len(PurePath(path).parts) > 2:
                self.places.setdefault(path, name)


def _get_folder() -> str:
    with suppress(OSError):
        return os.getcwd()
    return os.sep


def _is_users(location: str) -> bool:
    return not location or classify_code(location.rpartition(":")[0], "") == "user"


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}{os.sep}")


def _read(path: str) -> _Content:
    try:
        stat = os.lstat(path)
    except OSError:
        return _NOTHING
    times = stat.st_atime_ns, stat.st_mtime_ns
    if os.path.isdir(path) and not os.path.islink(path):
        return _Content("folder")
    if S_ISREG(stat.st_mode) and stat.st_size <= MAX_FILE_NBYTES:
        with suppress(OSError), open_file(path, "rb") as stream:
            return _Content("file", stream.read(), stat.st_size, times)
    return _Content("other", b"", stat.st_size, times)


def _describe(before: _Content, now: _Content) -> str:
    if before.equals(now):
        return ""
    if before == _NOTHING:
        return "is new"
    if now == _NOTHING:
        return "is gone"
    if before.size != now.size:
        return f"{'grew' if now.size > before.size else 'shrank'} from {before.size} to {now.size} bytes"
    return "has other contents"


def _remove(path: str) -> None:
    now = _read(path)
    with suppress(OSError):
        if now.kind == "folder":
            os.rmdir(path)
        elif now.kind == "file":
            os.unlink(path)


def _write(path: str, content: _Content) -> None:
    if content.kind == "folder":
        os.mkdir(path)
    elif content.kind == "file":
        with open_file(path, "wb") as stream:
            stream.write(content.data)
        os.utime(path, ns=content.times)
