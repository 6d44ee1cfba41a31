"""Writes the golden files at the end of a session, and reports entries of tests that no longer exist."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.golden import EntryUpdate, read_golden
from pytest_repro.core.text import escape_unprintable
from pytest_repro.engine.golden import update_golden
from pytest_repro.plugin.judge.baseline import REPORT_ATTRIBUTE
from pytest_repro.plugin.stash import GOLDEN_LINES, SETTINGS, STALE_TESTS
from pytest_repro.values.safetensors_file import decode_arrays

_PLUGIN_NAME = "repro-golden-writer"
_FLUSH_BYTES = 2**26
"""Bytes of pending values above which they are written at once."""


def register_writer(config: pytest.Config) -> None:
    """Collects entries to store; a worker of pytest-xdist leaves that to its controller."""
    if config.stash[SETTINGS].update and not config.pluginmanager.has_plugin(_PLUGIN_NAME):
        config.pluginmanager.register(GoldenWriter(config), _PLUGIN_NAME)


class GoldenWriter:
    """Collects the entries that come with reports, and writes them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._pending: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._pending_bytes = 0
        self._failed_tests: set[str] = set()
        self._errors: list[str] = []
        self._entry_counts: dict[str, int] = defaultdict(int)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes the entry of a report, before others keep the report; none of a test that failed."""
        pending = vars(report).pop(REPORT_ATTRIBUTE, None)
        if report.when == "setup":
            self._failed_tests.discard(report.nodeid)
        if report.failed:
            self._failed_tests.add(report.nodeid)
        if pending is None or report.nodeid in self._failed_tests:
            return
        self._pending[pending["path"]].append(pending)
        self._pending_bytes += len(pending["values"]) + len(pending["text"])
        if self._pending_bytes > _FLUSH_BYTES:
            self.write({})

    def write(self, stale: Mapping[str, list[str]]) -> list[str]:
        """Writes pending entries and removes those of *stale*; returns all errors so far."""
        for path in dict.fromkeys([*self._pending, *stale]):
            try:
                self._write_file(path, self._pending.get(path, []), stale.get(path, []))
            except (OSError, ValueError) as error:
                self._errors.append(_format_error(path, error))
        self._pending.clear()
        self._pending_bytes = 0
        return self._errors

    def _write_file(self, path: str, pending: list[dict[str, Any]], stale: list[str]) -> None:
        updates: list[EntryUpdate] = []
        arrays: dict[str, Any] = {}
        for each in pending:
            golden = read_golden(each["text"])
            arrays.update(decode_arrays(each["values"]))
            for nodeid, entries in golden.tests.items():
                updates += [
                    EntryUpdate(nodeid, key, golden.environments[key], entries[key]) for key in entries
                ]
        update_golden(Path(path), updates, arrays, stale)
        self._entry_counts[path] += len(updates)

    def format_lines(self) -> Iterator[str]:
        """A line for each written file."""
        for path, count in sorted(self._entry_counts.items()):
            if count:
                entries = f"{count} entr{'ies' if count != 1 else 'y'}"
                yield f"golden    {entries} written: {_format_path(self._config, path)}"


def _format_error(path: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path}: cannot be written: {error}"
    return f"{path} {error}; nothing was written"


def _format_path(config: pytest.Config, path: str) -> str:
    return os.path.relpath(path, config.invocation_params.dir)


def write_golden_files(config: pytest.Config, on_error: Callable[[str], None]) -> None:
    """Writes pending entries; removes stale ones with ``--repro-prune``, and reports them otherwise."""
    settings = config.stash[SETTINGS]
    stale = {path: gone for path, gone in sorted(config.stash.get(STALE_TESTS, {}).items()) if gone}
    writer = config.pluginmanager.get_plugin(_PLUGIN_NAME) or GoldenWriter(config)
    assert isinstance(writer, GoldenWriter)
    complaints = writer.write(stale if settings.prune else {})
    for each in complaints:
        on_error(f"{'--repro-update' if settings.update else '--repro-prune'}: {each}")
    bad = "\n".join(complaints)
    lines = [*writer.format_lines()]
    for path, gone in stale.items():
        if settings.prune and path not in bad:
            lines.append(f"pruned    {len(gone)} of tests that are gone: {_format_path(config, path)}")
        elif not settings.prune:
            note = f"not collected any more, still in {_format_path(config, path)}: --repro-prune removes it"
            lines += [f"stale     {escape_unprintable(nodeid)}  {note}" for nodeid in gone]
    config.stash[GOLDEN_LINES] = lines
