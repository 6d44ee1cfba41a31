"""A tape of what one run takes from outside: entropy, clocks, the states of generators."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import NamedTuple
from weakref import WeakKeyDictionary

from pytest_repro.causes.clock import FrozenClock
from pytest_repro.core.replay import ExternalInput, ReplayLog
from pytest_repro.interpose.patch import Patch, copy_identity
from pytest_repro.interpose.user_frames import (
    Line,
    call_origin,
    format_location,
    get_module_name,
    read_call_source,
    walk_up,
)

_urandom = os.urandom
_REAL_CLOCKS: dict[str, Callable[[], int]] = {
    name.removesuffix("_ns"): clock
    for name, clock in vars(time).items()
    if name.endswith("_ns") and not name.startswith("clock_")
}


class ThreadNames:
    """Names each thread by the thread that started it and the order of starts: ``"2.1"``."""

    def __init__(self) -> None:
        self._names: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
        self._start_counts: dict[str, count[int]] = {}

    def get_current_name(self) -> str:
        """The name of the current thread; ``""`` if it was started before."""
        return self._names.get(threading.current_thread(), "")

    def make_patches(self) -> Iterator[Patch]:
        """Replaces ``Thread.start`` by a function that names the thread."""
        real = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            starter = self.get_current_name()
            number = next(self._start_counts.setdefault(starter, count(1)))
            self._names[thread] = f"{starter}.{number}" if starter else str(number)
            real(thread)

        yield Patch(threading.Thread, "start", copy_identity(start, real, threading.Thread, "start"))


class _CallSite(NamedTuple):
    request: str
    location: str
    via: str


class Tape:
    """Records what a run takes from outside, or answers its requests from the log of another run.

    Answers belong to a request, a file and line, and a thread: a program with one more call at one line gets
    the logged answers at all others. A thread that has used up its own answers gets those of other threads
    at that line. Several threads may call it at once, without a lock, for which a finaliser inside a call
    could wait forever: lists and queues change by one atomic step each.

    Args:
        log: Where answers come from; None to take them from outside and record them.
        root: Locations are relative to this folder.
        thread_names: Those of the whole run, of which the tape may be a part.

    Attributes:
        initial_states: States of generators at the start of the run.
        exit_states: Their states when the run was last suspended.
        clock_offsets: Nanoseconds by which a clock is ahead of the real one, by clock.
    """

    def __init__(
        self, log: ReplayLog | None, root: str = "", thread_names: ThreadNames | None = None
    ) -> None:
        self.replayed_log, self._root, self.thread_names = log, root, thread_names or ThreadNames()
        self.initial_states: dict[str, str] = {}
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
        return self.replayed_log or ReplayLog(self.initial_states, tuple(self._inputs))

    @property
    def past_log(self) -> tuple[str, ...]:
        """One sentence for each place where the run left the log."""
        return tuple(self._past_log)

    def note_past_log(self, message: str) -> None:
        self._past_log.setdefault(message)

    def answer(self, request: str, read_real: Callable[[], str]) -> str:
        """The answer to *request*, as in :class:`ExternalInput`; the test runner always gets the real one."""
        frames = walk_up(sys._getframe(1))  # of the replacement of a real function, which calls this
        outside = (each for each in frames if get_module_name(each).partition(".")[0] != "pytest_repro")
        caller = call_origin(next(outside, None))
        if caller is None:
            return read_real()
        location = format_location(caller.frame).removeprefix(self._root).replace(os.sep, "/")
        site = _CallSite(request, location, caller.via)
        if self.replayed_log is not None:
            logged = self._pop_answer(site)
            return read_real() if logged is None else logged
        value, text = read_real(), self._get_call_text(caller.frame)
        thread = self.thread_names.get_current_name()
        self._inputs.append(ExternalInput(text, location, site.via, thread, request, value))
        return value

    def _get_call_text(self, frame: Line) -> str:
        key = frame.f_code, frame.f_lasti
        if key not in self._call_texts:
            self._call_texts[key] = read_call_source(frame)
        return self._call_texts[key]

    def _pop_answer(self, site: _CallSite) -> str | None:
        """The next logged answer at *site*; None, and a note, if none is left."""
        queues = self._queues.get(site, {})
        for queue in (queues.get(self.thread_names.get_current_name(), deque()), *queues.values()):
            with suppress(IndexError):
                return queue.popleft()
        logged = self._logged_counts[site]
        if next(self._extra_calls.setdefault(site, count(1))) == 1:
            has = f"the log has {logged} call{'s' * (logged != 1)}"
            ordinal = _format_ordinal(logged + 1)
            self.note_past_log(f"replay ran out at {site.location}: {has}, this is the {ordinal}")
        return None


def _format_ordinal(number: int) -> str:
    """``1st``, ``12th``."""
    is_teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if is_teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


class TapedEntropy:
    """Entropy of the operating system, from a tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def getrandbits(self, k: int, /) -> int:
        def read_real() -> str:
            return f"{int.from_bytes(_urandom((k + 7) // 8), 'big') >> (-k % 8):x}"

        return int(self._tape.answer(f"{k} bits", read_real), 16)

    def randbytes(self, n: int, /) -> bytes:
        return bytes.fromhex(self._tape.answer(f"{n} bytes", lambda: _urandom(n).hex()))


class TapedClocks(FrozenClock):
    """Clocks that show the times on a tape; the real time while it records.

    After the end of the log a clock continues from the last time it showed and never runs backwards, so
    that a loop that waits for a deadline ends.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def read_ns(self, clock: str) -> int:
        real_readings: list[int] = []

        def read_real() -> str:
            real_readings.append(_REAL_CLOCKS[clock]() + self._tape.clock_offsets.get(clock, 0))
            return str(real_readings[0])

        reading = int(self._tape.answer(clock, read_real))
        if not real_readings:
            self._tape.clock_offsets[clock] = reading - _REAL_CLOCKS[clock]()
        return reading
