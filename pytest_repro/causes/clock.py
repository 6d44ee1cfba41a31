"""Wall clock, monotonic clock, dates."""

from __future__ import annotations

import datetime
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from pytest_repro.causes import Cause, WatchedFunction, watch_each
from pytest_repro.causes._frozen.library_clocks import replace_library_clocks, watch_library_clocks
from pytest_repro.interpose.patch import Patch, is_passthrough, make_patch, patch_everywhere
from pytest_repro.interpose.proxy_class import make_proxy_class
from pytest_repro.interpose.user_frames import caller_frame, get_module_name

_DURATION_FIX = "leave durations out of what is compared, or have the test replace the clock"
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
    time stamps of files, a function that an object inside others keeps.
    """

    explanation = "the program reads a clock"
    fix = f"{_TIME_FIX}; {_DURATION_FIX}"
    watched_functions = (
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
        *watch_library_clocks(*_WALL_CLOCK),
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


_CLOCKS = {
    "time": "REALTIME", "monotonic": "", "perf_counter": "", "process_time": "PROCESS_CPUTIME_ID",
    "thread_time": "THREAD_CPUTIME_ID",
}  # fmt: skip
"""Name of a clock → its number for ``clock_gettime``; the other numbers read ``monotonic``."""
_CLOCK_BY_NUMBER = {
    getattr(time, f"CLOCK_{number}"): name
    for name, number in _CLOCKS.items()
    if hasattr(time, f"CLOCK_{number}")
}
# Where the clocks start in each block: no earlier than anything this process has read.
_START_TIMES: dict[str, int] = {
    name: getattr(time, f"{name}_ns")() for name in _CLOCKS if hasattr(time, name)
}
_READ_STEP, _READ_STEP_GROWTH = 1_000_000, 1_000  # ns

# They wait for external events, and would time out too early or never.
_REAL_CLOCK_PACKAGES = {
    "anyio", "asyncio", "concurrent", "dask", "distributed", "execnet", "faulthandler", "gevent", "joblib",
    "multiprocessing", "pluggy", "pytest", "pytest_repro", "pytest_timeout", "queue", "ray", "sched",
    "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading", "tornado", "trio",
    "uvloop", "xdist", "zmq", "_pytest",
}  # fmt: skip


class _ThreadClock(threading.local):
    """How far the clock of one thread has advanced."""

    elapsed = 0
    reads = 0


class FrozenClock:
    """The clocks of one block, which start at a fixed instant and advance with each read.

    Attributes:
        active: False after the block: replacements that code still holds then read the real clock.
    """

    def __init__(self) -> None:
        self.active = True
        self._thread_clock = _ThreadClock()

    def read_ns(self, clock: str) -> int:
        """Reads *clock* (``"time"``, ``"monotonic"``, …), in nanoseconds, and advances it."""
        state = self._thread_clock
        state.elapsed += _READ_STEP + _READ_STEP_GROWTH * state.reads
        state.reads += 1
        return _START_TIMES[clock] + state.elapsed

    def _read(self, clock: str) -> float:
        """As :meth:`read_ns`, in seconds."""
        return self.read_ns(clock) / 1e9

    def make_patches(self) -> Iterator[Patch]:
        """A patch for every clock of Python and of imported modules."""
        for owner, name, replacement in [*self._replace_time_functions(), *self._replace_other_clocks()]:
            yield make_patch(owner, name, self._make_wrapper(getattr(owner, name), replacement))
        yield from self._make_datetime_patches()

    def _make_wrapper(self, real: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
        def read_frozen(*args: Any, **named: Any) -> Any:
            return (real if self._should_read_real(sys._getframe(1)) else replacement)(*args, **named)

        return read_frozen

    def _should_read_real(self, frame: FrameType) -> bool:
        """Whether the code of *frame* reads the real clock."""
        waits = get_module_name(caller_frame(frame)).partition(".")[0] in _REAL_CLOCK_PACKAGES
        return not self.active or waits or is_passthrough(frame)

    def _replace_time_functions(self) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
        """Module, name and replacement of each function of ``time``."""

        def read_number(read: Callable[[str], Any], number: int) -> Any:
            return read(_CLOCK_BY_NUMBER.get(number, "monotonic"))

        def convert(real: Callable[[float], Any], seconds: float | None = None) -> Any:
            return real(self._read("time") if seconds is None else seconds)

        def sleep(seconds: float) -> None:
            real_sleep(seconds)
            self._thread_clock.elapsed += int(seconds * 1e9)

        for name in _START_TIMES:
            yield time, name, partial(self._read, name)
            yield time, f"{name}_ns", partial(self.read_ns, name)
        for name in ("localtime", "gmtime", "ctime"):
            yield time, name, partial(convert, getattr(time, name))
        asctime, strftime, local, real_sleep = time.asctime, time.strftime, time.localtime, time.sleep
        yield time, "asctime", lambda t=None: asctime(convert(local) if t is None else t)
        yield time, "strftime", lambda form, t=None: strftime(form, convert(local) if t is None else t)
        yield time, "clock_gettime", partial(read_number, self._read)
        yield time, "clock_gettime_ns", partial(read_number, self.read_ns)
        yield time, "sleep", sleep

    def _replace_other_clocks(self) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
        """Owner, name and replacement of each clock of other modules, as far as they are imported."""
        resource, timeit, asyncio, uuid = map(sys.modules.get, ("resource", "timeit", "asyncio", "uuid"))

        def get_process_times() -> os.times_result:
            return os.times_result((self._read("process_time"), 0.0, 0.0, 0.0, self._read("monotonic")))

        def freeze_usage(usage: Any) -> Any:  # memory and context switches stay real
            return type(usage)((self._read("process_time"), 0.0, *usage[2:]))

        if hasattr(os, "times"):
            yield os, "times", get_process_times
        if resource is not None:
            getrusage = resource.getrusage
            yield resource, "getrusage", lambda who: freeze_usage(getrusage(who))
        if timeit is not None:
            yield timeit, "default_timer", partial(self._read, "perf_counter")
        if asyncio is not None:
            yield asyncio.BaseEventLoop, "time", lambda loop: self._read("monotonic")
        if uuid is not None:
            # With a sequence number, uuid1 calls time.time_ns() instead of libuuid.
            uuid1 = uuid.uuid1
            yield uuid, "uuid1", lambda node=None, clock_seq=None: uuid1(node, clock_seq or 0)
        read_datetime = partial(self._make_datetime, datetime.datetime)
        yield from replace_library_clocks(read_datetime, partial(self._read, "time"))

    def _make_datetime(self, cls: Any, zone: datetime.tzinfo | None = None) -> Any:
        seconds, rest = divmod(self.read_ns("time"), 10**9)
        return cls.fromtimestamp(seconds, zone).replace(microsecond=rest // 1000)

    def _make_datetime_patches(self) -> Iterator[Patch]:
        real, day, make_datetime = datetime.datetime, datetime.date, self._make_datetime

        def now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
            return real.now(tz) if self._should_read_real(sys._getframe(1)) else make_datetime(cls, tz)

        def utcnow(cls: Any) -> Any:
            zone = datetime.timezone.utc
            here = real.now(zone) if self._should_read_real(sys._getframe(1)) else make_datetime(cls, zone)
            return here.replace(tzinfo=None)

        def today(cls: Any) -> Any:
            read_real = self._should_read_real(sys._getframe(1))
            return day.today() if read_real else cls.fromtimestamp(self._read("time"))

        members = {"now": now, "utcnow": utcnow, "today": now}
        classes = {name: classmethod(member) for name, member in members.items()}
        yield Patch(datetime, "datetime", make_proxy_class(real, classes))
        yield Patch(datetime, "date", make_proxy_class(day, {"today": classmethod(today)}))

    @contextmanager
    def reset_uuid_timestamp(self) -> Iterator[None]:
        """Forgets the last time stamp of ``uuid1``, which never goes back, for a block."""
        uuid: Any = sys.modules.get("uuid")
        if not hasattr(uuid, "_last_timestamp"):  # private, may disappear
            yield
            return
        before, uuid._last_timestamp = uuid._last_timestamp, None
        try:
            yield
        finally:
            uuid._last_timestamp = before


cause = Clock()
