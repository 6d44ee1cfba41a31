"""Wall clock, monotonic clock, dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from pytest_repro.causes import Cause, WatchedFunction, watch_each
from pytest_repro.causes._frozen_clock import FrozenClock
from pytest_repro.interpose.patch import patch_everywhere

_DURATION_FIX = "do not record durations, or have the test replace the clock"
_TIME_FIX = "pass the time as an argument, a fixed one in the test"
_WALL_CLOCK = "reads the wall clock", _TIME_FIX
_RUNNING_CLOCK = "reads a running clock", _DURATION_FIX
"""The effect and the fix of a call."""


def _omits_time(seconds: Any = None, *_: Any) -> bool:
    return seconds is None


def _omits_second_argument(_: Any = None, time: Any = None) -> bool:
    return time is None


def _watch_file_time(function: str, label: str = "") -> WatchedFunction:
    effect = "returns, among others, when a file was written, which cannot be suspended"
    fix = "set the times of the files in the test (os.utime), or do not record them"
    return WatchedFunction(function, effect, fix, label, reach="line", suspendable=False)


class Clock(Cause):
    """Clocks: suspended, they start at a fixed instant and advance with each read and ``time.sleep``.

    A read advances the clock by 1 ms, and by 1 µs more than the read before, so that a loop that
    waits for a deadline ends, however long its body takes. Each thread has its own clock, so that
    it reads the same whatever the others do. ``sleep`` still sleeps.

    Code that waits for threads, processes and sockets (``threading``, ``queue``, ``asyncio``,
    ``subprocess``, …) and pytest itself read the real clock. Not suspended: reads by compiled code,
    time stamps of files, a function bound earlier as a default argument or in a class.
    """

    explanation = "the program reads a clock"
    fix = f"{_TIME_FIX}; {_DURATION_FIX}"
    watched_functions: ClassVar[Sequence[WatchedFunction]] = (
        *watch_each("time", "time time_ns", *_WALL_CLOCK),
        *watch_each("time", "localtime gmtime ctime asctime", *_WALL_CLOCK, when=_omits_time),
        *watch_each("time", "strftime", *_WALL_CLOCK, when=_omits_second_argument),
        *watch_each("datetime", "datetime.now datetime.utcnow datetime.today date.today", *_WALL_CLOCK),
        *watch_each("time", "monotonic monotonic_ns perf_counter perf_counter_ns", *_RUNNING_CLOCK),
        *watch_each("time", "process_time process_time_ns thread_time thread_time_ns", *_RUNNING_CLOCK),
        *watch_each("time", "clock_gettime clock_gettime_ns", *_RUNNING_CLOCK),
        *watch_each("timeit", "default_timer", *_RUNNING_CLOCK),
        *watch_each("os", "times", *_RUNNING_CLOCK),
        *watch_each("resource", "getrusage", *_RUNNING_CLOCK),
        *watch_each("asyncio", "BaseEventLoop.time", *_RUNNING_CLOCK, label="asyncio's loop.time()"),
        WatchedFunction(
            "uuid:uuid1",
            "depends on the time and on the machine's address",
            "use uuid.uuid5() of a name, or uuid.UUID(int=…) from a seeded random.Random",
        ),
        *(_watch_file_time(f"os:{name}") for name in ("stat", "lstat", "fstat")),
        *(_watch_file_time(f"os.path:{name}") for name in ("getmtime", "getctime", "getatime")),
        *(_watch_file_time(f"pathlib:Path.{name}", f"Path.{name}()") for name in ("stat", "lstat")),
    )

    @contextmanager
    def suspend(self, seed: int, variant: str = "") -> Iterator[None]:
        frozen = FrozenClock()
        try:
            with patch_everywhere(frozen.make_patches()), frozen.reset_uuid_timestamp():
                yield
        finally:
            frozen.active = False


cause = Clock()
