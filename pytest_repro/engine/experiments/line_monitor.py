"""The user's lines as they run, for who asks after each one what it did."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_repro.interpose.user_frames import classify_frame, format_location, walk_up

MAX_LINES = 20_000
"""Lines that are followed: who asks takes 50 µs for each."""


class LineMonitor:
    """Calls something after each line.

    Attributes:
        current_line: The line that runs, ``"/abs/file.py:12"``; ``""`` where none is followed.

    Args:
        on_line_end: Is called after each line; :attr:`current_line` is that one still.
    """

    def __init__(self, on_line_end: Callable[[], None]) -> None:
        self.current_line, self._on_line_end, self._lines_left = "", on_line_end, MAX_LINES

    @contextmanager
    def monitor(self, frame: FrameType) -> Iterator[None]:
        """Follows lines of this thread for a block in *frame*; none where a debugger or coverage does.

        Args:
            frame: Runs, as do those that have called it: their next lines are followed, too.
        """
        if sys.gettrace() is not None:
            yield
            return
        running = [(each, each.f_trace) for each in walk_up(frame) if classify_frame(each) == "user"]
        for each, _ in running:
            each.f_trace = self._trace_line
        self.current_line = format_location(frame)
        sys.settrace(self._trace_call)
        try:
            yield
        finally:
            if sys.gettrace() == self._trace_call:
                sys.settrace(None)
            for each, before in running:
                if each.f_trace == self._trace_line:  # and no debugger's, which was started in the block
                    each.f_trace = before

    def _trace_call(self, frame: FrameType, event: str, argument: object) -> Any:
        if classify_frame(frame) != "user":
            return None
        return self._trace_line(frame, event, argument)

    def _trace_line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "exception":
            return self._trace_line
        self._on_line_end()
        self._lines_left -= 1
        if self._lines_left < 0:
            self.current_line = ""
            sys.settrace(None)
            return None
        outer = (each for each in walk_up(frame.f_back) if classify_frame(each) == "user")
        at = next(outer, None) if event == "return" else frame
        self.current_line = format_location(at) if at is not None else ""
        return self._trace_line
