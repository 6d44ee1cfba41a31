"""Where a long test is, in a line of the terminal below what pytest writes; gone when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import Any

import pytest

from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.pytest_internals import terminal_of
from pytest_repro.reports.failure.runs import called

LONG = 2.0
"""Seconds from which on somebody who looks at the terminal wonders."""

# One line down (ESC D makes room at the bottom), cleared and written without wrapping, and back: the
# cursor stays where pytest writes on. What is below it is cleared again by ESC [J.
_BELOW = "\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K\x1b[?7l{}\x1b[?7h\x1b8"
_CLEAR = "\x1b[J"


class Progress:
    """The line of a session; without a terminal, with ``-q`` and in workers there is none."""

    def __init__(self, config: pytest.Config) -> None:
        self._terminal = None if hasattr(config, "workerinput") else terminal_of(config)
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        option = config.getoption
        # What the last run prints, and the fixtures it sets up, go to the terminal at once.
        self._lives = option("capture", "") in ("no", "tee-sys") or bool(option("setupshow", False))
        self._name, self._begun, self._shown = "", 0.0, False

    @contextmanager
    def test(self, item: pytest.Item) -> Iterator[None]:
        """The time of one test."""
        self._name, self._begun = item.name, perf_counter()
        try:
            yield
        finally:
            self.close()

    def run(self, trial: Trial, cell: Cell) -> None:
        """Says which run begins, where the test is a long one."""
        if self._terminal is None or not self._is_long:
            return
        number = trial.planned if cell == trial.last else len(trial.runs) + 1
        under = "" if cell.axis == REPEAT and cell.at is None else f" ({called(cell)})"
        self.since(f"run {number} of {max(number, trial.planned)}{under}")

    @property
    def _is_long(self) -> bool:
        return perf_counter() - self._begun >= LONG

    def long(self, text: str) -> None:
        """Says *text* where the test has been going on for long."""
        if self._is_long:
            self.since(text)

    def since(self, text: str) -> None:
        """Says *text*, and for how long the test has been going on."""
        self.say(f"{text}, {perf_counter() - self._begun:.0f} s")

    def say(self, text: str) -> None:
        """Shows *text* in place of what was shown before."""
        if self._terminal is not None:
            width = self._terminal.width - 1
            self._write(_BELOW.format(" ".join(f"{self._name}: {text}".split())[:width]))
            self._shown = True

    def close(self) -> None:
        """Shows nothing more."""
        if self._shown:
            self._shown = False
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        assert self._terminal is not None
        with self._uncaptured():
            self._terminal.write(text)

    def _uncaptured(self) -> AbstractContextManager[None]:
        # The class's own way: on the object it is replaced while rehearsals go on, and below.
        if self._capture is None:
            return nullcontext()
        found: AbstractContextManager[None] = type(self._capture).global_and_fixture_disabled(self._capture)
        return found

    @contextmanager
    def last(self, trial: Trial) -> Iterator[None]:
        """Around the last run's set-up or body: what is printed past the capturing meets no line."""
        if self._terminal is None or self._lives or self._capture is None:
            yield
            return
        self.run(trial, trial.last)
        self._capture.global_and_fixture_disabled = self._disabled
        try:
            yield
        finally:
            del self._capture.global_and_fixture_disabled
            self.close()

    def _disabled(self) -> AbstractContextManager[None]:
        self.close()
        return self._uncaptured()
