"""Writes the golden files at the end of a session, and tells which of their tests are gone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.golden.golden import Update
from pytest_repro.core.golden.golden_file import read
from pytest_repro.core.text import printable
from pytest_repro.engine.golden.store import store
from pytest_repro.plugin import GOLDEN, SETTINGS, STALE
from pytest_repro.plugin.judge.baseline import ATTRIBUTE
from pytest_repro.values.safetensors_file import read_written

_NAME = "repro-golden-writer"
_ENOUGH = 2**26
"""Bytes that wait to be written; where they are more, what waits is written at once."""


def listen(config: pytest.Config) -> None:
    """Begins to collect what is to be stored; a worker of xdist leaves that to its controller."""
    if config.stash[SETTINGS].update and not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(Writer(config), _NAME)


class Writer:
    """Collects entries as they come with the reports, and writes them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._bytes = 0
        self._failed: set[str] = set()
        self._complaints: list[str] = []
        self._counts: dict[str, int] = defaultdict(int)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what came with a report, before others keep the report; of a test that failed nothing."""
        pending = vars(report).pop(ATTRIBUTE, None)
        if report.when == "setup":
            self._failed.discard(report.nodeid)
        if report.failed:
            self._failed.add(report.nodeid)
        if pending is None or report.nodeid in self._failed:
            return
        self._waiting[pending["path"]].append(pending)
        self._bytes += len(pending["values"]) + len(pending["text"])
        if self._bytes > _ENOUGH:
            self.write({})

    def write(self, gone: Mapping[str, list[str]]) -> list[str]:
        """Writes what waits, and removes the entries of *gone*; gives every complaint so far."""
        for path in dict.fromkeys([*self._waiting, *gone]):
            try:
                self._write(path, self._waiting.get(path, []), gone.get(path, []))
            except (OSError, ValueError) as error:
                self._complaints.append(_complaint(path, error))
        self._waiting.clear()
        self._bytes = 0
        return self._complaints

    def _write(self, path: str, waiting: list[dict[str, Any]], gone: list[str]) -> None:
        updates: list[Update] = []
        arrays: dict[str, Any] = {}
        for each in waiting:
            golden = read(each["text"])
            arrays.update(read_written(each["values"]))
            for nodeid, entries in golden.tests.items():
                updates += [Update(nodeid, key, golden.environments[key], entries[key]) for key in entries]
        store(Path(path), updates, arrays, gone)
        self._counts[path] += len(updates)

    def told(self) -> Iterator[str]:
        """A line for each file that was written."""
        for path, count in sorted(self._counts.items()):
            if count:
                entries = f"{count} entr{'ies' if count != 1 else 'y'}"
                yield f"golden    {entries} written: {_called(self._config, path)}"


def _complaint(path: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path}: cannot be written: {error}"
    return f"{path} {error}; nothing was written"


def _called(config: pytest.Config, path: str) -> str:
    return os.path.relpath(path, config.invocation_params.dir)


def write(config: pytest.Config, complain: Callable[[str], None]) -> None:
    """Writes what waits; with ``--repro-prune`` also removes what is gone, and otherwise tells of it."""
    settings = config.stash[SETTINGS]
    stale = {path: gone for path, gone in sorted(config.stash.get(STALE, {}).items()) if gone}
    writer = config.pluginmanager.get_plugin(_NAME) or Writer(config)
    assert isinstance(writer, Writer)
    complaints = writer.write(stale if settings.prune else {})
    for each in complaints:
        complain(f"{'--repro-update' if settings.update else '--repro-prune'}: {each}")
    bad = "\n".join(complaints)
    lines = [*writer.told()]
    for path, gone in stale.items():
        if settings.prune and path not in bad:
            lines.append(f"pruned    {len(gone)} of tests that are gone: {_called(config, path)}")
        elif not settings.prune:
            said = f"not collected any more, still in {_called(config, path)}: --repro-prune removes it"
            lines += [f"stale     {printable(nodeid)}  {said}" for nodeid in gone]
    config.stash[GOLDEN] = lines
