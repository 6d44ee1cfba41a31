"""What a session has collected: which modules as a whole, and so which stored tests are gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

_FOLDER = "__repro__"
_OUTPUT = "repro_stale"
_NARROWING = ("lf", "stepwise", "collectonly")
"""Options under which modules are collected in part, and nobody is told."""


class Collected:
    """Listens while tests are collected.

    Tests are heard of as they are collected, before anybody picks some of them: a session that is
    one of several shards knows them all.
    """

    def __init__(self) -> None:
        self._tests: dict[Path, set[str]] = defaultdict(set)
        self._files: set[str] = set()
        self._narrowed: set[str] = set()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Notes a test."""
        self._tests[item.path].add(item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes a module, and one that could not be collected."""
        (self._files if report.passed else self._narrowed).add(report.nodeid.partition("::")[0])

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Notes that of a module some tests are left out on purpose."""
        self._narrowed.update(item.nodeid.partition("::")[0] for item in items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Looks for entries of tests that are gone; a worker of xdist tells its controller."""
        found = {str(path): gone for path, gone in self._stale(session.config) if gone}
        told: Any = getattr(session.config, "workeroutput", None)
        if told is not None:
            told[_OUTPUT] = found
        elif found:
            _keep(session.config, found)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hears what a worker of xdist has found: each has collected the same."""
        if found := getattr(node, "workeroutput", {}).get(_OUTPUT):
            _keep(node.config, found)

    def _stale(self, config: pytest.Config) -> Iterator[tuple[Path, list[str]]]:
        if any(config.getoption(name, False) for name in _NARROWING):
            return
        files = {config.rootpath / name: name for name in self._files - self._narrowed if name}
        for folder in {path.parent for path in files}:
            if (folder / _FOLDER).is_dir():
                yield from _in_folder(folder, files, self._tests, _asked_in_part(config))


def _in_folder(
    folder: Path, files: dict[Path, str], tests: dict[Path, set[str]], part: set[Path] | None
) -> Iterator[tuple[Path, list[str]]]:
    """The golden files of *folder*, each with the node ids of its tests that are gone."""
    from pytest_repro.core.golden.golden import stale
    from pytest_repro.engine.golden.store import load

    beside = {path.stem for path in folder.iterdir() if path.is_file()}
    for path in sorted((folder / _FOLDER).glob("*.json")):
        with suppress(OSError, ValueError):  # one that cannot be read is told by its tests
            golden = load(path)
            if path.stem not in beside:
                yield path, list(golden.tests)
                continue
            for module, name in files.items():
                if (
                    module.parent == folder
                    and module.stem == path.stem
                    and part is not None
                    and module not in part
                ):
                    yield path, list(stale(golden, name, tests[module]))


def _asked_in_part(config: pytest.Config) -> set[Path] | None:
    """Modules of which the command line names single tests; None where that cannot be told."""
    found = set()
    for each in config.args:
        name, inside, _ = str(each).partition("::")
        if inside:
            path = config.invocation_params.dir / name
            if not path.is_file():
                return None
            found.add(path.resolve())
    return found


def _keep(config: pytest.Config, found: dict[str, list[str]]) -> None:
    from pytest_repro.plugin import STALE

    config.stash[STALE] = found
