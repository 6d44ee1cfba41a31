"""What was to be held and could not be: whoever holds it says so, and the run's experiment hears it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_collectors: list[dict[str, str]] = []


def report_not_suspended(cause: str, reason: str) -> None:
    """Says that *cause*, suspended, can still have made runs differ.

    Args:
        cause: The cause word.
        reason: What it was that could not be held, as a sentence without its full stop.
    """
    for each in _collectors:
        each.setdefault(cause, reason)


@contextmanager
def collect_not_suspended() -> Iterator[dict[str, str]]:
    """For a block, what could not be held: cause word → why, the first time it was said."""
    found: dict[str, str] = {}
    _collectors.append(found)
    try:
        yield found
    finally:
        _collectors[:] = [each for each in _collectors if each is not found]
