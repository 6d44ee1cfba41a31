"""A line of the terminal, below pytest's own, that says which run of a long test is in progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import Any

import pytest

from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.pytest_internals import find_terminal
from pytest_repro.reports.failure.runs import format_run

LONG_TEST = 2.0
"""Seconds after which a test is long."""

LONG_DIAGNOSIS = 5.0
"""Seconds after which a diagnosis is long."""

# One line down (ESC D makes room at the bottom), clear and write without wrapping, and back: the cursor
# stays where pytest writes. ESC [J clears what is below.
_LINE_BELOW = "\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K\x1b[?7l{}\x1b[?7h\x1b8"
_CLEAR = "\x1b[J"

_NOTICE = "pytest-repro is looking for what makes {} differ; --repro-diagnose=never leaves that out"


class Progress:
    """The line of a session; none without a terminal, with ``-q``, or in workers.

    Attributes:
        is_active: Whether there is a terminal.
        is_shown: Whether there is something to :meth:`close`.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._terminal = None if hasattr(config, "workerinput") else find_terminal(config)
        self.is_active = self._terminal is not None
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        option = config.getoption
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        is_piped = reporter is not None and not hasattr(config, "workerinput") and not reporter.isatty
        self._writes_notices = is_piped and config.get_verbosity() >= 0
        # The last run's output and fixture set-up may go to the terminal at once.
        self._is_live = option("capture", "") in ("no", "tee-sys") or bool(option("setupshow", False))
        self._name, self._start, self.is_shown = "", 0.0, False

    def start_test(self, item: pytest.Item) -> Progress:
        """Starts the clock of a test, to be closed with its last run."""
        self._name, self._start = item.name, perf_counter()
        return self

    def show_run(self, trial: Trial, cell: Cell) -> None:
        """Shows which run begins, if the test is long."""
        if self._terminal is None or not self._is_long:
            return
        number = trial.planned_run_count if cell == trial.last_cell else len(trial.runs) + 1
        under = "" if cell.axis == REPEAT and cell.repeat_of is None else f" ({format_run(cell)})"
        self.show_elapsed(f"run {number} of {max(number, trial.planned_run_count)}{under}")

    @property
    def _is_long(self) -> bool:
        return perf_counter() - self._start >= LONG_TEST

    def show_if_long(self, text: str) -> None:
        """Shows *text* if the test is long."""
        if self._is_long:
            self.show_elapsed(text)

    def show_elapsed(self, text: str) -> None:
        """Shows *text* and how long the test has been running."""
        self.show(f"{text}, {perf_counter() - self._start:.0f} s")

    def show(self, text: str) -> None:
        """Shows *text* in place of the line before."""
        if self._terminal is not None:
            width = self._terminal.width - 1
            self._write(_LINE_BELOW.format(" ".join(f"{self._name}: {text}".split())[:width]))
            self.is_shown = True

    def start_diagnosis(self, item: pytest.Item) -> Callable[[str], None]:
        """What shows the steps of a diagnosis of *item*.

        Where the output is no terminal, stderr says once that it takes long: stdout may be for a program.
        """
        start, is_silent = perf_counter(), self._writes_notices

        def show(text: str) -> None:
            nonlocal is_silent
            self.show(text)
            if is_silent and perf_counter() - start >= LONG_DIAGNOSIS:
                is_silent = False
                with self._bypass_capture():
                    print(f"\n{_NOTICE.format(item.nodeid)}", file=sys.stderr, flush=True)

        return show

    def close(self) -> None:
        """Clears the line."""
        if self.is_shown:
            self.is_shown = False
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        assert self._terminal is not None
        with self._bypass_capture():
            self._terminal.write(text)

    def _bypass_capture(self) -> AbstractContextManager[None]:
        # The method of the class: rehearsals replace that of the object.
        if self._capture is None:
            return nullcontext()
        found: AbstractContextManager[None] = type(self._capture).global_and_fixture_disabled(self._capture)
        return found

    @property
    def is_below_output(self) -> bool:
        """Whether the line is shown during the last run too, whose output is captured."""
        return self._terminal is not None and not self._is_live and self._capture is not None

    @contextmanager
    def wrap_last_run(self, trial: Trial) -> Iterator[None]:
        """Wraps the last run's set-up or body: clears the line before anything is printed past capturing."""
        self.show_run(trial, trial.last_cell)
        self._capture.global_and_fixture_disabled = self._close_and_bypass_capture
        try:
            yield
        finally:
            del self._capture.global_and_fixture_disabled
            self.close()

    def _close_and_bypass_capture(self) -> AbstractContextManager[None]:
        self.close()
        return self._bypass_capture()
