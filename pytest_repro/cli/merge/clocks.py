"""When shards ran, by the clocks of their machines, and which of these are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from pytest_repro.cli.merge.shard_report import Part
from pytest_repro.core.text import parse_time

_TOLERANCE = timedelta(minutes=5)
"""How far the clock of a machine may be ahead of this one's."""


def measure_span(parts: Sequence[Part]) -> tuple[str, float]:
    """When the first part started, and the seconds until the last ended.

    ``""`` and the longest duration if a part does not say when it started. Wrong clocks do not count.
    """
    longest = max((part.duration for part in parts), default=0.0)
    if any(not part.started for part in parts):
        return "", longest
    spans = [
        (started, started + timedelta(seconds=part.duration), part.started)
        for part in parts
        if not find_wrong_clock(part) and (started := parse_time(part.started)) is not None
    ]
    if not spans:
        return "", longest
    first, last = min(spans), max(end for _, end, _ in spans)
    return first[2], round((last - first[0]).total_seconds(), 3)


def find_wrong_clock(part: Part) -> str:
    """What is wrong with the times of *part*; ``""`` if nothing is."""
    if part.duration < 0:
        return f"ends {-part.duration:,.0f} s before it starts"
    if not part.started:
        return ""
    if (started := parse_time(part.started)) is None:
        return f"started {part.started[:40]!r}, which is not a time"
    ahead = started - datetime.now(timezone.utc)
    return f"starts {ahead.total_seconds():,.0f} s in the future" if ahead > _TOLERANCE else ""


def list_wrong_clocks(parts: Sequence[Part]) -> Iterator[str]:
    """A line for each part whose times do not count."""
    for part in parts:
        if wrong := find_wrong_clock(part):
            yield f"clock      {part.path} {wrong}: its times do not count"
