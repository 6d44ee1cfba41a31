"""What was to be held and could not be: whoever holds it says so, and the run's experiment hears it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_hearing: list[dict[str, str]] = []


def loose(cause: str, why: str) -> None:
    """Says that *cause*, suspended, can still have made runs differ.

    Args:
        cause: The cause word.
        why: What it was that could not be held, as a sentence without its full stop.
    """
    for each in _hearing:
        each.setdefault(cause, why)


@contextmanager
def gathered() -> Iterator[dict[str, str]]:
    """For a block, what could not be held: cause word → why, the first time it was said."""
    found: dict[str, str] = {}
    _hearing.append(found)
    try:
        yield found
    finally:
        _hearing[:] = [each for each in _hearing if each is not found]
