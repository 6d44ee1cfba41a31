"""Wall clock, monotonic clock, dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from pytest_repro.causes import Cause, WatchedFunction
from pytest_repro.causes._frozen_clock import FrozenClock
from pytest_repro.interpose.patch import patch_everywhere

_DURATION_FIX = "keep durations out of what is recorded, or have the test replace the clock"
_TIME_FIX = "give the time as an argument, and a fixed one in the test"


def _omits_time(seconds: Any = None, *_: Any) -> bool:
    return seconds is None


def _omits_second_argument(_: Any = None, time: Any = None) -> bool:
    return time is None


def _watch_file_time(function: str, label: str = "") -> WatchedFunction:
    says = "tells among other things when a file was written, which is not held"
    fix = "set the times of the files in the test (os.utime), or leave them out of what is recorded"
    return WatchedFunction(function, says, fix, label, reach="line", suspendable=False)


def _watch_wall_clock(function: str, when: Any = None) -> WatchedFunction:
    return WatchedFunction(function, "reads the wall clock", _TIME_FIX, when=when)


class Clock(Cause):
    """Clocks that start at one instant and are moved on by each look at them, and by ``time.sleep``.

    A look moves the clock on by 1 ms, and by a µs more than the look before: a loop that waits for
    a deadline ends, however long its body takes. Each thread has a clock of its own, so that it
    reads the same whatever the others do. ``sleep`` sleeps as ever.

    Whoever waits for threads, processes and sockets (``threading``, ``queue``, ``asyncio``,
    ``subprocess``, …) and pytest itself read the real clock. Out of reach: what compiled code
    reads, the time stamps of files, a name bound before as a default argument or in a class.
    """

    explanation = "the program reads a clock"
    fix = f"{_TIME_FIX}; {_DURATION_FIX}"
    watched_functions: ClassVar[Sequence[WatchedFunction]] = (
        _watch_wall_clock("time:time"),
        _watch_wall_clock("time:time_ns"),
        *(
            WatchedFunction(f"time:{name}{unit}", "reads a clock that never stands still", _DURATION_FIX)
            for name in ("monotonic", "perf_counter", "process_time", "thread_time")
            for unit in ("", "_ns")
        ),
        *(
            WatchedFunction(where, "reads a clock that never stands still", _DURATION_FIX)
            for where in (
                "time:clock_gettime",
                "time:clock_gettime_ns",
                "timeit:default_timer",
                "os:times",
                "resource:getrusage",
            )
        ),
        WatchedFunction(
            "asyncio:BaseEventLoop.time",
            "reads a clock that never stands still",
            _DURATION_FIX,
            "asyncio's loop.time()",
        ),
        *(
            _watch_wall_clock(f"time:{name}", _omits_time)
            for name in ("localtime", "gmtime", "ctime", "asctime")
        ),
        _watch_wall_clock("time:strftime", _omits_second_argument),
        _watch_wall_clock("datetime:datetime.now"),
        _watch_wall_clock("datetime:datetime.utcnow"),
        _watch_wall_clock("datetime:datetime.today"),
        _watch_wall_clock("datetime:date.today"),
        WatchedFunction(
            "uuid:uuid1",
            "is made of the time and of the machine's address",
            "take uuid.uuid5() of a name, or uuid.UUID(int=…) from a seeded random.Random",
        ),
        *(_watch_file_time(f"os:{name}") for name in ("stat", "lstat", "fstat")),
        *(_watch_file_time(f"os.path:{name}") for name in ("getmtime", "getctime", "getatime")),
        *(_watch_file_time(f"pathlib:Path.{name}", f"Path.{name}()") for name in ("stat", "lstat")),
    )

    @contextmanager
    def suspend(self, seed: int) -> Iterator[None]:
        frozen = FrozenClock()
        try:
            with patch_everywhere(frozen.make_patches()), frozen.reset_uuid_timestamp():
                yield
        finally:
            frozen.active = False


cause = Clock()
