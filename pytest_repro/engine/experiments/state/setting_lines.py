"""The lines that change process-wide settings: environment variables, the working folder, flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_repro.adapters import active_adapters
from pytest_repro.core.diagnose import Change
from pytest_repro.engine.experiments.line_trace import LineMonitor


class SettingLines:
    """Looks, after each of the user's lines, whether it has changed one of the settings *names*."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._lines = names, dict[str, str]()
        self._monitor = LineMonitor(self._on_line_end)
        self._before = dict[str, str]()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watches the lines of a block, without any name none."""
        if not self._names:
            yield
            return
        self._before = self._read()
        with self._monitor.monitor(None):
            yield
            self._on_line_end()

    def _on_line_end(self) -> None:
        if not self._monitor.current_line:
            self._before = self._read()
            return
        now = self._read()
        for name in self._names:
            if now.get(name) != self._before.get(name):
                self._lines.setdefault(name, self._monitor.current_line)
        self._before = now

    def _read(self) -> dict[str, str]:
        adapters = active_adapters().values()
        return {name: text for each in adapters for name, text in each.switches().items()}

    def list_changes(self) -> tuple[Change, ...]:
        """Each setting that a line has changed, with the first that did."""
        return tuple(Change(name, "is set", line) for name, line in self._lines.items())
