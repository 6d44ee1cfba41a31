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

from pytest_repro.core.replay.external_input import ExternalInput, ReplayLog
from pytest_repro.interpose.user_frames import (
    Origin,
    call_origin,
    format_location,
    get_module_name,
    read_call_source,
)


class _CallSite(NamedTuple):
    request: str
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
        get_thread_name: Gives the name of the thread that asks.

    Attributes:
        replayed_log: The log that answers are taken from, if any.
        initial_states: Where generators stood when the run began; None as long as nobody has looked.
        exit_states: Where they stood when the run was last left.
        clock_offsets: Nanoseconds that a clock shows more than the real one, by clock.
    """

    def __init__(
        self, log: ReplayLog | None, root: str = "", get_thread_name: Callable[[], str] = lambda: ""
    ) -> None:
        self.replayed_log, self._root, self._get_thread_name = log, root, get_thread_name
        self.initial_states: dict[str, str] | None = None
        self.exit_states: dict[str, str] = {}
        self.clock_offsets: dict[str, int] = {}
        self._inputs: list[ExternalInput] = []
        self._call_texts: dict[object, str] = {}
        self._past_log: dict[str, None] = {}
        self._extra_calls: dict[_CallSite, count[int]] = {}
        self._queues: dict[_CallSite, dict[str, deque[str]]] = {}
        self._logged_counts: dict[_CallSite, int] = {}
        for each in log.calls if log is not None else ():
            self._enqueue(each)

    def _enqueue(self, external_input: ExternalInput) -> None:
        place = _CallSite(external_input.request, external_input.location, external_input.via)
        self._queues.setdefault(place, {}).setdefault(external_input.thread, deque()).append(
            external_input.value
        )
        self._logged_counts[place] = self._logged_counts.get(place, 0) + 1

    @property
    def log(self) -> ReplayLog:
        """What the run has taken; where it was given a log, that one."""
        return self.replayed_log or ReplayLog(self.initial_states or {}, tuple(self._inputs))

    @property
    def past_log(self) -> tuple[str, ...]:
        """Where the run asked for what is not in the log, a sentence for each place."""
        return tuple(self._past_log)

    def note_past_log(self, message: str) -> None:
        """Puts down that the run was not given what the log has."""
        self._past_log.setdefault(message)

    def answer(self, request: str, read_real: Callable[[], str]) -> str:
        """The answer to a call; what the test's runner asks for itself is no part of the run.

        Args:
            request: What is asked for, as in :class:`~pytest_repro.core.replay.external_input.ExternalInput`.
            read_real: Gives an answer from outside.
        """
        found = _find_caller(sys._getframe(1))
        if found is None:
            return read_real()
        place = _CallSite(request, self._relative_location(format_location(found.frame)), found.via)
        if self.replayed_log is not None:
            answer = self._pop_answer(place)
            return read_real() if answer is None else answer
        value = read_real()
        text = self._get_call_text(found.frame)
        self._inputs.append(
            ExternalInput(text, place.location, place.via, self._get_thread_name(), request, value)
        )
        return value

    def _relative_location(self, location: str) -> str:
        return location.removeprefix(self._root).replace(os.sep, "/")

    def _get_call_text(self, frame: FrameType) -> str:
        key = frame.f_code, frame.f_lasti
        if key not in self._call_texts:
            self._call_texts[key] = read_call_source(frame)
        return self._call_texts[key]

    def _pop_answer(self, call_site: _CallSite) -> str | None:
        """The next answer that the log has there; None, and a note, where there is none left."""
        queues = self._queues.get(call_site, {})
        for queue in (queues.get(self._get_thread_name()), *queues.values()):
            with suppress(IndexError):
                if queue:
                    return queue.popleft()
        known, more = (
            self._logged_counts.get(call_site, 0),
            next(self._extra_calls.setdefault(call_site, count(1))),
        )
        if more == 1:
            has = f"the log has {known} call{'s' * (known != 1)}, this is the {_format_ordinal(known + 1)}"
            self.note_past_log(f"replay ran out at {call_site.location}: {has}")
        return None


def _find_caller(frame: FrameType) -> Origin | None:
    """Where the user's code asks, when *frame* is what answers in the place of the real function."""
    each: FrameType | None = frame
    while each is not None and get_module_name(each).partition(".")[0] == "pytest_repro":
        each = each.f_back
    return call_origin(each)


def _format_ordinal(number: int) -> str:
    """``1st``, ``12th``."""
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
