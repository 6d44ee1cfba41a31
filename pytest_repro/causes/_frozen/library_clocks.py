"""Clocks that are read in compiled code: those of pandas and TensorFlow, and timers."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pytest_repro.causes import WatchedFunction, watch_each


def reads_pandas_clock(value: Any = None, *_: Any, **__: Any) -> bool:
    """Whether *value*, which is to become a time, or one of its items is ``"now"`` or ``"today"``."""
    if isinstance(value, str):
        return value in ("now", "today")
    return isinstance(value, (list, tuple)) and any(map(reads_pandas_clock, value))


Replacement = tuple[Any, str, Callable[..., Any]]
"""Class or module, name and replacement of a function."""


def replace_library_clocks(
    read_datetime: Callable[[datetime.tzinfo | None], datetime.datetime], read_seconds: Callable[[], float]
) -> Iterator[Replacement]:
    """The replacements for libraries that are imported.

    Args:
        read_datetime: The time in a time zone, or the local time.
        read_seconds: The time in seconds since 1970.
    """
    yield from _replace_pandas_clocks(read_datetime)
    tensorflow: Any = sys.modules.get("tensorflow")
    if hasattr(tensorflow, "timestamp"):
        constant, float64 = tensorflow.constant, tensorflow.float64
        yield tensorflow, "timestamp", lambda name=None: constant(read_seconds(), float64, name=name)


def _replace_pandas_clocks(
    read: Callable[[datetime.tzinfo | None], datetime.datetime],
) -> Iterator[Replacement]:
    pandas: Any = sys.modules.get("pandas")
    if not hasattr(pandas, "Period"):  # not yet imported completely
        return

    def now(tz: Any = None) -> Any:
        utc = pandas.Timestamp(read(datetime.timezone.utc))
        return pandas.Timestamp(read(None)) if tz is None else utc.tz_convert(tz)

    make = pandas.Timestamp.__new__

    def make_now(cls: Any, *args: Any, **named: Any) -> Any:
        tz = named.get("tz", named.get("tzinfo"))
        return now(tz) if reads_pandas_clock(*args) else make(cls, *args, **named)

    yield pandas.Timestamp, "__new__", make_now
    yield pandas.Timestamp, "now", now
    yield pandas.Timestamp, "today", now
    if hasattr(pandas.Timestamp, "utcnow"):  # deprecated in pandas 3
        yield pandas.Timestamp, "utcnow", lambda: now("UTC")
    yield pandas.Period, "now", lambda freq: pandas.Period(read(None), freq=freq)


def watch_library_clocks(effect: str, fix: str) -> Iterator[WatchedFunction]:
    """An entry for each of these functions."""
    yield from watch_each("pandas", "Timestamp.now Timestamp.utcnow Timestamp.today Period.now", effect, fix)
    yield from watch_each("pandas", "to_datetime", effect, fix, when=reads_pandas_clock)
    timer = "interrupts the program after some time, which cannot be suspended"
    steps = "count steps instead of seconds, or have the test replace the timer"
    yield from watch_each("signal", "setitimer alarm", timer, steps, reach="line", suspendable=False)
    yield from watch_each("tensorflow", "timestamp", effect, fix)
    yield WatchedFunction(
        "pandas:Timestamp.__new__",
        effect,
        fix,
        label="pandas.Timestamp('now')",
        when=lambda kind, *args, **named: reads_pandas_clock(*args, **named),
    )
