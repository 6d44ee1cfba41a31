"""Clocks that start at one instant, and are moved on by each look at them."""

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

from pytest_repro.interpose.passthrough import is_spared
from pytest_repro.interpose.patch import Swap, renamed
from pytest_repro.interpose.proxy_class import stand_in
from pytest_repro.interpose.user_frames import asker, module_of

_NAMES = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
# Where the clocks stand when a block begins: not before anything that this process has seen.
_STARTS: dict[str, int] = {name: getattr(time, f"{name}_ns")() for name in _NAMES if hasattr(time, name)}
_BY_NUMBER = {
    getattr(time, f"CLOCK_{number}"): name
    for number, name in (
        ("REALTIME", "time"),
        ("PROCESS_CPUTIME_ID", "process_time"),
        ("THREAD_CPUTIME_ID", "thread_time"),
    )
    if hasattr(time, f"CLOCK_{number}")
}
_LOOK, _GROWTH = 1_000_000, 1_000  # ns

# They wait for what goes on outside, and would give up too early, or never.
_WAITING = {
    "anyio", "asyncio", "concurrent", "dask", "distributed", "execnet", "faulthandler", "gevent", "joblib",
    "multiprocessing", "pluggy", "pytest", "pytest_repro", "pytest_timeout", "queue", "ray", "sched",
    "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading", "tornado", "trio",
    "uvloop", "xdist", "zmq", "_pytest",
}  # fmt: skip


class _Hand(threading.local):
    """How far one thread's clock has been moved on."""

    gone = 0
    looks = 0


class Frozen:
    """The clocks of one block.

    Attributes:
        live: Whether the block lasts; what was kept of it reads the real clock afterwards.
    """

    def __init__(self) -> None:
        self.live = True
        self._hand = _Hand()

    def look(self, clock: str) -> int:
        """Nanoseconds that *clock* shows (``"time"``, ``"monotonic"``, …), moved on by this look."""
        hand = self._hand
        hand.gone += _LOOK + _GROWTH * hand.looks
        hand.looks += 1
        return _STARTS[clock] + hand.gone

    def swaps(self) -> Iterator[Swap]:
        """Every clock of Python's, and what takes its place."""
        for name in _STARTS:
            yield self._swap(time, name, partial(self._seconds, name))
            yield self._swap(time, f"{name}_ns", partial(self.look, name))
        yield self._swap(time, "clock_gettime", lambda clock: self._seconds(_called(clock)))
        yield self._swap(time, "clock_gettime_ns", lambda clock: self.look(_called(clock)))
        yield self._swap(time, "sleep", partial(self._sleep, time.sleep))
        yield from self._used()
        yield from self._broken_down()
        yield from self._dates()
        yield from self._elsewhere()

    def _swap(self, owner: Any, name: str, answer: Callable[..., Any]) -> Swap:
        real = getattr(owner, name)

        def frozen(*args: Any, **named: Any) -> Any:
            if self._reads_real(sys._getframe(1)):
                return real(*args, **named)
            return answer(*args, **named)

        return Swap(owner, name, renamed(frozen, real, owner, name))

    def _reads_real(self, frame: FrameType) -> bool:
        """Whether the code of *frame* is to read the real clock."""
        waits = module_of(asker(frame)).partition(".")[0] in _WAITING
        return not self.live or waits or is_spared(frame)

    def _seconds(self, clock: str) -> float:
        return self.look(clock) / 1e9

    def _sleep(self, real: Callable[[float], None], seconds: float) -> None:
        real(seconds)
        self._hand.gone += int(seconds * 1e9)

    def _now(self) -> float:
        return self._seconds("time")

    def _broken_down(self) -> Iterator[Swap]:
        for name in ("localtime", "gmtime", "ctime"):
            real = getattr(time, name)
            yield self._swap(time, name, partial(self._at, real))
        asctime, strftime, local = time.asctime, time.strftime, time.localtime
        yield self._swap(time, "asctime", lambda t=None: asctime(local(self._now()) if t is None else t))
        yield self._swap(
            time, "strftime", lambda form, t=None: strftime(form, local(self._now()) if t is None else t)
        )

    def _used(self) -> Iterator[Swap]:
        """Time that the process has used; of ``getrusage`` memory and switches stay as they are."""
        if hasattr(os, "times"):
            yield self._swap(os, "times", self._times)
        resource: Any = sys.modules.get("resource")
        if resource is not None:
            usage = resource.getrusage
            yield self._swap(resource, "getrusage", lambda who: self._usage(usage(who)))

    def _times(self) -> os.times_result:
        return os.times_result((self._seconds("process_time"), 0.0, 0.0, 0.0, self._seconds("monotonic")))

    def _usage(self, real: Any) -> Any:
        return type(real)((self._seconds("process_time"), 0.0, *real[2:]))

    def _at(self, real: Callable[[float], Any], seconds: float | None = None) -> Any:
        return real(self._now() if seconds is None else seconds)

    def _dates(self) -> Iterator[Swap]:
        def stamp(cls: Any, zone: datetime.tzinfo | None = None) -> Any:
            seconds, rest = divmod(self.look("time"), 10**9)
            return cls.fromtimestamp(seconds, zone).replace(microsecond=rest // 1000)

        def now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
            return real.now(tz) if self._reads_real(sys._getframe(1)) else stamp(cls, tz)

        def utcnow(cls: Any) -> Any:
            zone = datetime.timezone.utc
            here = real.now(zone) if self._reads_real(sys._getframe(1)) else stamp(cls, zone)
            return here.replace(tzinfo=None)

        def today(cls: Any) -> Any:
            return day.today() if self._reads_real(sys._getframe(1)) else cls.fromtimestamp(self._now())

        real, day = datetime.datetime, datetime.date
        members = {"now": now, "utcnow": utcnow, "today": now}
        classes = {name: classmethod(member) for name, member in members.items()}
        yield Swap(datetime, "datetime", stand_in(real, classes))
        yield Swap(datetime, "date", stand_in(day, {"today": classmethod(today)}))

    def _elsewhere(self) -> Iterator[Swap]:
        """What takes the time by a way of its own, where it is imported."""
        steady = partial(self._seconds, "monotonic")
        timeit, asyncio, uuid = map(sys.modules.get, ("timeit", "asyncio", "uuid"))
        if timeit is not None:
            yield self._swap(timeit, "default_timer", partial(self._seconds, "perf_counter"))
        if asyncio is not None:
            yield self._swap(asyncio.BaseEventLoop, "time", lambda loop: steady())
        if uuid is not None:
            # Given a sequence number, it asks time.time_ns() instead of the system's libuuid.
            real = uuid.uuid1
            yield self._swap(uuid, "uuid1", lambda node=None, clock_seq=None: real(node, clock_seq or 0))

    @contextmanager
    def stamps(self) -> Iterator[None]:
        """``uuid1`` goes on from the time that it gave last, whatever the clock says."""
        uuid: Any = sys.modules.get("uuid")
        if not hasattr(uuid, "_last_timestamp"):  # a private name: left alone once it is gone
            yield
            return
        before = uuid._last_timestamp
        uuid._last_timestamp = None
        try:
            yield
        finally:
            uuid._last_timestamp = before


def _called(clock: int) -> str:
    return _BY_NUMBER.get(clock, "monotonic")
