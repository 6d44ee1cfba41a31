"""Wall clock, monotonic clock, dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from pytest_repro.causes import Cause, Row
from pytest_repro.causes._frozen_clock import Frozen
from pytest_repro.interpose.patch import replaced_everywhere

_MEASURED = "keep durations out of what is recorded, or have the test replace the clock"
_GIVEN = "give the time as an argument, and a fixed one in the test"


def _without_time(seconds: Any = None, *_: Any) -> bool:
    return seconds is None


def _without_second(_: Any = None, time: Any = None) -> bool:
    return time is None


def _written(where: str, what: str = "") -> Row:
    says = "tells among other things when a file was written, which is not held"
    fix = "set the times of the files in the test (os.utime), or leave them out of what is recorded"
    return Row(where, says, fix, what, reach="line", held=False)


def _wall(where: str, when: Any = None) -> Row:
    return Row(where, "reads the wall clock", _GIVEN, when=when)


class Clock(Cause):
    """Clocks that start at one instant and are moved on by each look at them, and by ``time.sleep``.

    A look moves the clock on by 1 ms, and by a µs more than the look before: a loop that waits for
    a deadline ends, however long its body takes. Each thread has a clock of its own, so that it
    reads the same whatever the others do. ``sleep`` sleeps as ever.

    Whoever waits for threads, processes and sockets (``threading``, ``queue``, ``asyncio``,
    ``subprocess``, …) and pytest itself read the real clock. Out of reach: what compiled code
    reads, the time stamps of files, a name bound before as a default argument or in a class.
    """

    says = "the program reads a clock"
    fix = f"{_GIVEN}; {_MEASURED}"
    rows: ClassVar[Sequence[Row]] = (
        _wall("time:time"),
        _wall("time:time_ns"),
        *(Row(f"time:{name}{unit}", "reads a clock that never stands still", _MEASURED)
          for name in ("monotonic", "perf_counter", "process_time", "thread_time") for unit in ("", "_ns")),
        *(Row(where, "reads a clock that never stands still", _MEASURED) for where in (
            "time:clock_gettime", "time:clock_gettime_ns", "timeit:default_timer", "os:times",
            "resource:getrusage")),
        Row("asyncio:BaseEventLoop.time", "reads a clock that never stands still", _MEASURED,
            "asyncio's loop.time()"),
        *(_wall(f"time:{name}", _without_time) for name in ("localtime", "gmtime", "ctime", "asctime")),
        _wall("time:strftime", _without_second),
        _wall("datetime:datetime.now"),
        _wall("datetime:datetime.utcnow"),
        _wall("datetime:datetime.today"),
        _wall("datetime:date.today"),
        Row("uuid:uuid1", "is made of the time and of the machine's address",
            "take uuid.uuid5() of a name, or uuid.UUID(int=…) from a seeded random.Random"),
        *(_written(f"os:{name}") for name in ("stat", "lstat", "fstat")),
        *(_written(f"os.path:{name}") for name in ("getmtime", "getctime", "getatime")),
        *(_written(f"pathlib:Path.{name}", f"Path.{name}()") for name in ("stat", "lstat")),
    )  # fmt: skip

    @contextmanager
    def suspended(self, seed: int) -> Iterator[None]:
        frozen = Frozen()
        try:
            with replaced_everywhere(frozen.swaps()), frozen.stamps():
                yield
        finally:
            frozen.live = False


cause = Clock()
