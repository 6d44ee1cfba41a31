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
from typing import Any

from pytest_repro.core.diagnose import Change, StateRoot
from pytest_repro.engine.experiments.state.file_content import (
    NOTHING,
    FileContent,
    describe_change,
    read_path,
    remove_path,
    write_path,
)
from pytest_repro.engine.experiments.state.iterators import Setter
from pytest_repro.engine.experiments.state.process_state import StateVisitor
from pytest_repro.interpose.code_owner import classify_code

MAX_NBYTES = 2**26
"""All kept files together."""

_MAX_FILES = 1000


class FileStates:
    """Keeps what runs overwrite, to put it back.

    What was there before the body of the first run counts: files that a wider fixture has written stay.
    """

    def __init__(self) -> None:
        self._original: dict[str, FileContent] = {}  # before the first run
        self._before: dict[str, FileContent] = {}  # before the body of the first run
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

    def _keep(self, path: str, location: str, content: FileContent | None = None) -> None:
        if path in self._original or len(self._original) >= _MAX_FILES:
            return
        content = content or read_path(path)
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
            self._before[path] = read_path(path)
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
        """Whether all that is written there is this test's: a folder that pytest made for a fixture."""
        return bool(_find_place(path, self._own_folders))

    def _scan(self) -> Iterator[tuple[str, str]]:
        for place, location in self._scanned.items():
            files = (os.path.join(folder, n) for folder, _, names in os.walk(place) for n in names)
            yield from ((path, location) for path in islice(files, _MAX_FILES))

    def _keep_new(self) -> None:
        for path, location in self._scan():
            self._keep(path, location, NOTHING)
        self._find_more_places()

    def list_changes(self) -> Iterator[Change]:
        """What is not as it was before, without what is in a folder that is new itself."""
        self._keep_new()
        new = [path for path, content in self._before.items() if content == NOTHING]
        for path, before in self._before.items():
            is_part = any(path.startswith(f"{folder}{os.sep}") for folder in new)
            description = (
                "" if is_part or self._is_of_one_run(path) else describe_change(before, read_path(path))
            )
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

    def _put_back(self, contents: Mapping[str, FileContent]) -> set[str]:
        """Removes what is new, then writes the rest; the paths that could not be made what they were."""
        for path in sorted(contents, reverse=True):
            if self._may_change(path) and contents[path] == NOTHING:
                remove_path(path)
        for path in sorted(contents):
            if self._may_change(path) and not read_path(path).equals(contents[path]):
                with suppress(OSError):
                    write_path(path, contents[path])
        return {path for path, content in contents.items() if not read_path(path).equals(content)}

    def _may_change(self, path: str) -> bool:
        """Whether it is where tests write, not where libraries keep what they share between programs."""
        shared = () if "PYTEST_XDIST_WORKER" in os.environ else (self._here, self._temporary, *self._places)
        place = _find_place(path, (*shared, *self._own_folders))  # other workers write where all may
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
