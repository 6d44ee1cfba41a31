"""The clocks of pandas, which read the real one in compiled code."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator
from typing import Any


def reads_pandas_clock(value: Any = None, *_: Any, **__: Any) -> bool:
    """Whether *value*, which is to become a time, or one of its items is ``"now"`` or ``"today"``."""
    if isinstance(value, str):
        return value in ("now", "today")
    return isinstance(value, (list, tuple)) and any(map(reads_pandas_clock, value))


def replace_pandas_clocks(
    read: Callable[[datetime.tzinfo | None], datetime.datetime],
) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Class, name and replacement of each of these functions, if pandas is imported.

    Args:
        read: The time in a time zone, or the local time.
    """
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
