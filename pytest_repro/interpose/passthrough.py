"""Lines whose calls reach the real functions although these are replaced: to tell which of many matter."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_repro.interpose.user_frames import call_origin, format_location

_PASSTHROUGH_LINES: set[str] = set()


@contextmanager
def pass_through(lines: Iterable[str]) -> Iterator[None]:
    """In the block, what is replaced is not replaced for calls that come from *lines*.

    Args:
        lines: As a call's location has them: ``"/abs/file.py:12"``.
    """
    before = set(_PASSTHROUGH_LINES)
    _PASSTHROUGH_LINES.update(lines)
    try:
        yield
    finally:
        _PASSTHROUGH_LINES.clear()
        _PASSTHROUGH_LINES.update(before)


def is_passthrough(frame: FrameType) -> bool:
    """Whether a call that *frame* makes comes from a line that is spared."""
    found = call_origin(frame) if _PASSTHROUGH_LINES else None
    return found is not None and format_location(found.frame) in _PASSTHROUGH_LINES


def wrap_passthrough(value: Any, real: Callable[..., Any]) -> Any:
    """*value*, which takes the place of *real*, but not for lines that are spared; a class as it is."""
    if not _PASSTHROUGH_LINES or isinstance(value, type) or not callable(value):
        return value

    def dispatch(*args: Any, **kwargs: Any) -> Any:
        return (real if is_passthrough(sys._getframe(1)) else value)(*args, **kwargs)

    return functools.update_wrapper(dispatch, value) if hasattr(value, "__name__") else dispatch
