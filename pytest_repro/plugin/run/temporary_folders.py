"""The temporary folders that pytest makes: each run of a test gets new ones, with another number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.runs.folder_names import FolderNames
from pytest_repro.plugin.pytest_internals import get_temporary_folder_factory


class TemporaryFolders:
    """Knows the folders of the run in progress, to record their names without the number.

    Runs cannot share a folder: a program may keep what it opened or read by path, and companions run at the
    same time.

    Args:
        config: Of the session.

    Attributes:
        names: Of the folders that the run in progress has made, by path; and how they are recorded.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._item: pytest.Item | None = None
        self._is_wider, self._wider_names = False, dict[str, str]()
        self.names, self._counts = dict[str, str](), Counter[str]()
        self._unnumbered, self._numbers = list[Path](), count()
        self._folder_names: FolderNames | None = None
        factory = get_temporary_folder_factory(config)
        if factory is not None:
            self._watch(config, factory)

    def _watch(self, config: pytest.Config, factory: Any) -> None:
        make_folder, get_base = factory.mktemp, factory.getbasetemp

        @wraps(make_folder)
        def mktemp(basename: str, numbered: bool = True) -> Path:
            path: Path = make_folder(basename, numbered)
            self._add(path, basename if numbered else path.name)
            return path

        @wraps(get_base)
        def getbasetemp() -> Path:
            path: Path = get_base()
            if str(path) not in self._wider_names:
                self._wider_names[str(path)], self._folder_names = "<tmp>", None
            return path

        own = Path(config.getoption("basetemp", None) or "")
        if own.name and own.name == getattr(config, "workerinput", {}).get("workerid"):
            # A companion: the folder of its session is in its sys.argv.
            self._wider_names[str(own.parent)] = "<tmp>"
        patch = pytest.MonkeyPatch()
        patch.setattr(factory, "mktemp", mktemp)
        patch.setattr(factory, "getbasetemp", getbasetemp)
        config.add_cleanup(patch.undo)

    def _add(self, path: Path, name: str) -> None:
        self._folder_names = None
        if self._is_wider:
            self._wider_names[str(path)] = f"<tmp>/{name}"
            return
        self._counts[name] += 1
        if name == path.name:
            self._unnumbered.append(path)
        elif self._counts[name] > 1:
            name = f"{name}-{self._counts[name]}"
        self.names[str(path)] = f"<tmp>/{name}"
        if self._item is not None and name == re.sub(r"\W", "_", self._item.name)[:30]:  # tmp_path
            self.names[path.name] = name

    def begin_run(self, item: pytest.Item) -> None:
        """Forgets the folders of the run before; moves those away whose names the run would need again."""
        if self.names:
            for path in self._unnumbered if item is self._item else ():
                with suppress(OSError):
                    path.rename(path.with_name(f"{path.name}-{next(self._numbers)}"))
            self._unnumbered.clear()
            self.names.clear()
            self._counts.clear()
            self._folder_names = None
        self._item = item

    @contextmanager
    def make_wider(self) -> Iterator[None]:
        """A block in which folders are made for more than one run."""
        before, self._is_wider = self._is_wider, True
        try:
            yield
        finally:
            self._is_wider = before

    def rename(self, value: Any) -> Any:
        """*value* with the names of folders that all runs share."""
        if not self._wider_names:
            return value
        if self._folder_names is None:
            self._folder_names = FolderNames({**self._wider_names, **self.names})
        return self._folder_names.rename(value)
