"""Which modules a session collected completely, and so which stored tests no longer exist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.plugin.stash import SETTINGS, STALE_TESTS

_GOLDEN_FOLDER = "__repro__"
_STALE_KEY = "repro_stale"
_PARTIAL_OPTIONS = ("lf", "stepwise", "collectonly")
"""Options that collect modules in part, without a hook call."""


class CollectionTracker:
    """Watches the collection.

    Tests are noted as they are collected, before others select some of them: a session that runs one of
    several shards knows them all.
    """

    def __init__(self) -> None:
        self._tests: dict[Path, set[str]] = defaultdict(set)
        self._modules: set[str] = set()
        self._partial_modules: set[str] = set()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Notes a test."""
        self._tests[item.path].add(item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes a module, or one that could not be collected."""
        (self._modules if report.passed else self._partial_modules).add(report.nodeid.partition("::")[0])

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Notes that some tests of a module are deselected on purpose."""
        self._partial_modules.update(item.nodeid.partition("::")[0] for item in items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Finds stale entries; a worker of pytest-xdist sends them to its controller."""
        found = {str(path): gone for path, gone in self._find_stale(session.config) if gone}
        workeroutput: Any = getattr(session.config, "workeroutput", None)
        if workeroutput is not None:
            workeroutput[_STALE_KEY] = found
        elif found:
            _store_stale(session.config, found)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes stale entries from a worker; all workers have collected the same."""
        if found := getattr(node, "workeroutput", {}).get(_STALE_KEY):
            _store_stale(node.config, found)

    def _find_stale(self, config: pytest.Config) -> Iterator[tuple[Path, list[str]]]:
        if any(config.getoption(name, False) for name in _PARTIAL_OPTIONS):
            return
        files = {config.rootpath / name: name for name in self._modules - self._partial_modules if name}
        for folder in {path.parent for path in files}:
            if (folder / _GOLDEN_FOLDER).is_dir():
                yield from _find_stale_in_folder(folder, files, self._tests, _find_partial_modules(config))


def _find_stale_in_folder(
    folder: Path, modules: dict[Path, str], tests: dict[Path, set[str]], partial_modules: set[Path] | None
) -> Iterator[tuple[Path, list[str]]]:
    """The golden files of *folder*, each with the node ids of tests that no longer exist."""
    from pytest_repro.core.golden import find_stale
    from pytest_repro.engine.golden import load_golden

    beside = {path.stem for path in folder.iterdir() if path.is_file()}
    for path in sorted((folder / _GOLDEN_FOLDER).glob("*.json")):
        with suppress(OSError, ValueError):  # the tests report a file that cannot be read
            golden = load_golden(path)
            if path.stem not in beside:
                yield path, list(golden.tests)
                continue
            for module, name in modules.items():
                if (
                    module.parent == folder
                    and module.stem == path.stem
                    and partial_modules is not None
                    and module not in partial_modules
                ):
                    yield path, list(find_stale(golden, name, tests[module]))


def _find_partial_modules(config: pytest.Config) -> set[Path] | None:
    """Modules of which the command line names single tests; None if that is unknown."""
    found = set()
    for each in config.args:
        name, inside, _ = str(each).partition("::")
        if inside:
            path = config.invocation_params.dir / name
            if not path.is_file():
                return None
            found.add(path.resolve())
    return found


def _store_stale(config: pytest.Config, stale_tests: dict[str, list[str]]) -> None:
    config.stash[STALE_TESTS] = stale_tests


def should_write_golden(config: pytest.Config) -> bool:
    """Whether golden files are written, or stale entries reported."""
    settings = config.stash[SETTINGS]
    return settings.update or bool(config.stash.get(STALE_TESTS, None))
