"""Lines whose calls reach the real functions although these are replaced: to tell which of many matter."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_repro.interpose.user_frames import line, origin

_LINES: set[str] = set()


@contextmanager
def spared(lines: Iterable[str]) -> Iterator[None]:
    """In the block, what is replaced is not replaced for calls that come from *lines*.

    Args:
        lines: As a call's location has them: ``"/abs/file.py:12"``.
    """
    before = set(_LINES)
    _LINES.update(lines)
    try:
        yield
    finally:
        _LINES.clear()
        _LINES.update(before)


def is_spared(frame: FrameType) -> bool:
    """Whether a call that *frame* makes comes from a line that is spared."""
    found = origin(frame) if _LINES else None
    return found is not None and line(found.frame) in _LINES


def sparing(value: Any, real: Callable[..., Any]) -> Any:
    """*value*, which takes the place of *real*, but not for lines that are spared; a class as it is."""
    if not _LINES or isinstance(value, type) or not callable(value):
        return value

    def chosen(*args: Any, **named: Any) -> Any:
        return (real if is_spared(sys._getframe(1)) else value)(*args, **named)

    return functools.update_wrapper(chosen, value) if hasattr(value, "__name__") else chosen
