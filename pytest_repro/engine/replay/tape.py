"""A tape of what one run takes from outside: records it, or answers from the log of another run."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import FrameType
from typing import NamedTuple

from pytest_repro.core.replay import ExternalInput, ReplayLog
from pytest_repro.interpose.user_frames import (
    Origin,
    call_origin,
    format_location,
    get_module_name,
    read_call_source,
    walk_up,
)


class _CallSite(NamedTuple):
    request: str
    location: str
    via: str


class Tape:
    """Answers the requests of a run; several threads may call it at once.

    Answers belong to a request, a file and line, and a thread: a program with one more call at one
    line gets the logged answers at all others. A thread that has used up its own answers gets those
    of other threads at that line. There is no lock, for which a finaliser inside a call could wait
    forever: lists and queues change by one atomic step each.

    Args:
        log: Where answers come from; None to take them from outside and record them.
        root: Locations are relative to this folder.
        get_thread_name: The name of the current thread, the same in each run.

    Attributes:
        initial_states: States of generators at the start of the run; None before it.
        exit_states: Their states when the run was last suspended.
        clock_offsets: Nanoseconds by which a clock is ahead of the real one, by clock.
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
        self._logged_counts: Counter[_CallSite] = Counter()
        for call in log.calls if log is not None else ():
            site = _CallSite(call.request, call.location, call.via)
            self._queues.setdefault(site, {}).setdefault(call.thread, deque()).append(call.value)
            self._logged_counts[site] += 1

    @property
    def log(self) -> ReplayLog:
        """The replayed log, or else what the run has recorded."""
        return self.replayed_log or ReplayLog(self.initial_states or {}, tuple(self._inputs))

    @property
    def past_log(self) -> tuple[str, ...]:
        """One sentence for each place where the run left the log."""
        return tuple(self._past_log)

    def note_past_log(self, message: str) -> None:
        """Adds *message* to :attr:`past_log`."""
        self._past_log.setdefault(message)

    def answer(self, request: str, read_real: Callable[[], str]) -> str:
        """The answer to a request; always the real one for calls of the test runner.

        Args:
            request: As in :class:`~pytest_repro.core.replay.ExternalInput`.
            read_real: Reads an answer from outside.
        """
        caller = _find_caller(sys._getframe(1))
        if caller is None:
            return read_real()
        location = format_location(caller.frame).removeprefix(self._root).replace(os.sep, "/")
        site = _CallSite(request, location, caller.via)
        if self.replayed_log is not None:
            logged = self._pop_answer(site)
            return read_real() if logged is None else logged
        value, text = read_real(), self._get_call_text(caller.frame)
        self._inputs.append(ExternalInput(text, location, site.via, self._get_thread_name(), request, value))
        return value

    def _get_call_text(self, frame: FrameType) -> str:
        key = frame.f_code, frame.f_lasti
        if key not in self._call_texts:
            self._call_texts[key] = read_call_source(frame)
        return self._call_texts[key]

    def _pop_answer(self, site: _CallSite) -> str | None:
        """The next logged answer at *site*; None, and a note, if none is left."""
        queues = self._queues.get(site, {})
        for queue in (queues.get(self._get_thread_name()), *queues.values()):
            with suppress(IndexError):
                if queue:
                    return queue.popleft()
        logged = self._logged_counts[site]
        if next(self._extra_calls.setdefault(site, count(1))) == 1:
            has = f"the log has {logged} call{'s' * (logged != 1)}"
            ordinal = _format_ordinal(logged + 1)
            self.note_past_log(f"replay ran out at {site.location}: {has}, this is the {ordinal}")
        return None


def _find_caller(frame: FrameType) -> Origin | None:
    """The origin of the call that *frame*, a replacement of the real function, answers."""
    outside = (each for each in walk_up(frame) if get_module_name(each).partition(".")[0] != "pytest_repro")
    return call_origin(next(outside, None))


def _format_ordinal(number: int) -> str:
    """``1st``, ``12th``."""
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
