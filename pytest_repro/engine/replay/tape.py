"""What one run takes from outside: put down, or given as it was put down by another run."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import FrameType
from typing import NamedTuple

from pytest_repro.core.replay.external_input import Log, Taken
from pytest_repro.interpose.source_text import call_text
from pytest_repro.interpose.user_frames import Origin, line, module_of, origin


class _Place(NamedTuple):
    asked: str
    location: str
    via: str


class Tape:
    """Answers what a run asks. May be asked by several threads at once.

    Answers are told apart by what was asked, by file and line, and by thread: a program that asks
    one thing more at one line is answered at all others as before. A thread that has had all that
    was put down for it is given what other threads asked at that line. There is no lock, which a
    finaliser inside a call could wait for for ever: lists and queues change by one step each.

    Args:
        log: What is given; None: answers come from outside and are put down.
        root: Files below this folder are called by their path in it.
        thread: Gives the name of the thread that asks.

    Attributes:
        given: The log that answers are taken from, if any.
        generators: Where generators stood when the run began; None as long as nobody has looked.
        left: Where they stood when the run was last left.
        ahead: Nanoseconds that a clock shows more than the real one, by clock.
    """

    def __init__(self, log: Log | None, root: str = "", thread: Callable[[], str] = lambda: "") -> None:
        self.given, self._root, self._thread = log, root, thread
        self.generators: dict[str, str] | None = None
        self.left: dict[str, str] = {}
        self.ahead: dict[str, int] = {}
        self._calls: list[Taken] = []
        self._written: dict[object, str] = {}
        self._beyond: dict[str, None] = {}
        self._more: dict[_Place, count[int]] = {}
        self._left: dict[_Place, dict[str, deque[str]]] = {}
        self._known: dict[_Place, int] = {}
        for each in log.calls if log is not None else ():
            self._wind(each)

    def _wind(self, each: Taken) -> None:
        place = _Place(each.asked, each.location, each.via)
        self._left.setdefault(place, {}).setdefault(each.thread, deque()).append(each.value)
        self._known[place] = self._known.get(place, 0) + 1

    @property
    def log(self) -> Log:
        """What the run has taken; where it was given a log, that one."""
        return self.given or Log(self.generators or {}, tuple(self._calls))

    @property
    def beyond(self) -> tuple[str, ...]:
        """Where the run asked for what is not in the log, a sentence for each place."""
        return tuple(self._beyond)

    def note(self, what: str) -> None:
        """Puts down that the run was not given what the log has."""
        self._beyond.setdefault(what)

    def take(self, asked: str, fresh: Callable[[], str]) -> str:
        """The answer to a call; what the test's runner asks for itself is no part of the run.

        Args:
            asked: What is asked for, as in :class:`~pytest_repro.core.replay.external_input.Taken`.
            fresh: Gives an answer from outside.
        """
        found = _asker(sys._getframe(1))
        if found is None:
            return fresh()
        place = _Place(asked, self._called(line(found.frame)), found.via)
        if self.given is not None:
            answer = self._next(place)
            return fresh() if answer is None else answer
        value = fresh()
        text = self._text(found.frame)
        self._calls.append(Taken(text, place.location, place.via, self._thread(), asked, value))
        return value

    def _called(self, location: str) -> str:
        return location.removeprefix(self._root).replace(os.sep, "/")

    def _text(self, frame: FrameType) -> str:
        key = frame.f_code, frame.f_lasti
        if key not in self._written:
            self._written[key] = call_text(frame)
        return self._written[key]

    def _next(self, place: _Place) -> str | None:
        """The next answer that the log has there; None, and a note, where there is none left."""
        queues = self._left.get(place, {})
        for queue in (queues.get(self._thread()), *queues.values()):
            with suppress(IndexError):
                if queue:
                    return queue.popleft()
        known, more = self._known.get(place, 0), next(self._more.setdefault(place, count(1)))
        if more == 1:
            has = f"the log has {known} call{'s' * (known != 1)}, this is the {_ordinal(known + 1)}"
            self.note(f"replay ran out at {place.location}: {has}")
        return None


def _asker(frame: FrameType) -> Origin | None:
    """Where the user's code asks, when *frame* is what answers in the place of the real function."""
    each: FrameType | None = frame
    while each is not None and module_of(each).partition(".")[0] == "pytest_repro":
        each = each.f_back
    return origin(each)


def _ordinal(number: int) -> str:
    """``1st``, ``12th``."""
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
