"""Clocks that start at a fixed instant and advance with each read."""

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

from pytest_repro.interpose.patch import Patch, copy_identity, is_passthrough
from pytest_repro.interpose.proxy_class import make_proxy_class
from pytest_repro.interpose.user_frames import caller_frame, get_module_name

_CLOCK_NAMES = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
# Where the clocks start in each block: no earlier than anything this process has read.
_START_TIMES: dict[str, int] = {
    name: getattr(time, f"{name}_ns")() for name in _CLOCK_NAMES if hasattr(time, name)
}
_CLOCK_BY_NUMBER = {
    getattr(time, f"CLOCK_{number}"): name
    for number, name in (
        ("REALTIME", "time"),
        ("PROCESS_CPUTIME_ID", "process_time"),
        ("THREAD_CPUTIME_ID", "thread_time"),
    )
    if hasattr(time, f"CLOCK_{number}")
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
    """The clocks of one block.

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

    def make_patches(self) -> Iterator[Patch]:
        """A patch for every clock of Python."""
        for name in _START_TIMES:
            yield self._make_patch(time, name, partial(self._read_seconds, name))
            yield self._make_patch(time, f"{name}_ns", partial(self.read_ns, name))
        yield self._make_patch(
            time, "clock_gettime", lambda clock: self._read_seconds(_get_clock_name(clock))
        )
        yield self._make_patch(time, "clock_gettime_ns", lambda clock: self.read_ns(_get_clock_name(clock)))
        yield self._make_patch(time, "sleep", partial(self._sleep_and_advance, time.sleep))
        yield from self._make_cpu_time_patches()
        yield from self._make_struct_time_patches()
        yield from self._make_datetime_patches()
        yield from self._make_library_patches()

    def _make_patch(self, owner: Any, name: str, replacement: Callable[..., Any]) -> Patch:
        real = getattr(owner, name)

        def read_frozen(*args: Any, **named: Any) -> Any:
            if self._should_read_real(sys._getframe(1)):
                return real(*args, **named)
            return replacement(*args, **named)

        return Patch(owner, name, copy_identity(read_frozen, real, owner, name))

    def _should_read_real(self, frame: FrameType) -> bool:
        """Whether the code of *frame* reads the real clock."""
        waits = get_module_name(caller_frame(frame)).partition(".")[0] in _REAL_CLOCK_PACKAGES
        return not self.active or waits or is_passthrough(frame)

    def _read_seconds(self, clock: str) -> float:
        return self.read_ns(clock) / 1e9

    def _sleep_and_advance(self, real: Callable[[float], None], seconds: float) -> None:
        real(seconds)
        self._thread_clock.elapsed += int(seconds * 1e9)

    def _read_wall_clock(self) -> float:
        return self._read_seconds("time")

    def _make_struct_time_patches(self) -> Iterator[Patch]:
        for name in ("localtime", "gmtime", "ctime"):
            real = getattr(time, name)
            yield self._make_patch(time, name, partial(self._convert_time, real))
        asctime, strftime, local = time.asctime, time.strftime, time.localtime
        yield self._make_patch(
            time, "asctime", lambda t=None: asctime(local(self._read_wall_clock()) if t is None else t)
        )
        yield self._make_patch(
            time,
            "strftime",
            lambda form, t=None: strftime(form, local(self._read_wall_clock()) if t is None else t),
        )

    def _make_cpu_time_patches(self) -> Iterator[Patch]:
        """CPU time of the process; memory and context switches of ``getrusage`` stay real."""
        if hasattr(os, "times"):
            yield self._make_patch(os, "times", self._get_process_times)
        resource: Any = sys.modules.get("resource")
        if resource is not None:
            usage = resource.getrusage
            yield self._make_patch(resource, "getrusage", lambda who: self._freeze_usage(usage(who)))

    def _get_process_times(self) -> os.times_result:
        return os.times_result(
            (self._read_seconds("process_time"), 0.0, 0.0, 0.0, self._read_seconds("monotonic"))
        )

    def _freeze_usage(self, usage: Any) -> Any:
        return type(usage)((self._read_seconds("process_time"), 0.0, *usage[2:]))

    def _convert_time(self, real: Callable[[float], Any], seconds: float | None = None) -> Any:
        return real(self._read_wall_clock() if seconds is None else seconds)

    def _make_datetime_patches(self) -> Iterator[Patch]:
        def make_datetime(cls: Any, zone: datetime.tzinfo | None = None) -> Any:
            seconds, rest = divmod(self.read_ns("time"), 10**9)
            return cls.fromtimestamp(seconds, zone).replace(microsecond=rest // 1000)

        def now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
            return real.now(tz) if self._should_read_real(sys._getframe(1)) else make_datetime(cls, tz)

        def utcnow(cls: Any) -> Any:
            zone = datetime.timezone.utc
            here = real.now(zone) if self._should_read_real(sys._getframe(1)) else make_datetime(cls, zone)
            return here.replace(tzinfo=None)

        def today(cls: Any) -> Any:
            return (
                day.today()
                if self._should_read_real(sys._getframe(1))
                else cls.fromtimestamp(self._read_wall_clock())
            )

        real, day = datetime.datetime, datetime.date
        members = {"now": now, "utcnow": utcnow, "today": now}
        classes = {name: classmethod(member) for name, member in members.items()}
        yield Patch(datetime, "datetime", make_proxy_class(real, classes))
        yield Patch(datetime, "date", make_proxy_class(day, {"today": classmethod(today)}))

    def _make_library_patches(self) -> Iterator[Patch]:
        """Patches for imported modules with clocks of their own."""
        steady = partial(self._read_seconds, "monotonic")
        timeit, asyncio, uuid = map(sys.modules.get, ("timeit", "asyncio", "uuid"))
        if timeit is not None:
            yield self._make_patch(timeit, "default_timer", partial(self._read_seconds, "perf_counter"))
        if asyncio is not None:
            yield self._make_patch(asyncio.BaseEventLoop, "time", lambda loop: steady())
        if uuid is not None:
            # With a sequence number, uuid1 calls time.time_ns() instead of libuuid.
            real = uuid.uuid1
            yield self._make_patch(
                uuid, "uuid1", lambda node=None, clock_seq=None: real(node, clock_seq or 0)
            )

    @contextmanager
    def reset_uuid_timestamp(self) -> Iterator[None]:
        """Forgets the last time stamp of ``uuid1``, which never goes back, for a block."""
        uuid: Any = sys.modules.get("uuid")
        if not hasattr(uuid, "_last_timestamp"):  # private, may disappear
            yield
            return
        before = uuid._last_timestamp
        uuid._last_timestamp = None
        try:
            yield
        finally:
            uuid._last_timestamp = before


def _get_clock_name(number: int) -> str:
    return _CLOCK_BY_NUMBER.get(number, "monotonic")
