"""The user's lines as they run, for who asks after each one what it did."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_repro.interpose.user_frames import line, outwards, owner_of

MOST = 20_000
"""Lines that are followed: who asks takes 50 µs for each."""


class Followed:
    """Calls something after each line.

    Attributes:
        now: The line that runs, ``"/abs/file.py:12"``; ``""`` where none is followed.

    Args:
        ended: Is called after each line; :attr:`now` is that one still.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self.now, self._ended, self._left = "", ended, MOST

    @contextmanager
    def around(self, frame: FrameType) -> Iterator[None]:
        """Follows lines of this thread for a block in *frame*; none where a debugger or coverage does.

        Args:
            frame: Runs, as do those that have called it: their next lines are followed, too.
        """
        if sys.gettrace() is not None:
            yield
            return
        running = [(each, each.f_trace) for each in outwards(frame) if owner_of(each) == "user"]
        for each, _ in running:
            each.f_trace = self._heard
        self.now = line(frame)
        sys.settrace(self._called)
        try:
            yield
        finally:
            if sys.gettrace() == self._called:
                sys.settrace(None)
            for each, before in running:
                if each.f_trace == self._heard:  # and no debugger's, which was started in the block
                    each.f_trace = before

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        if owner_of(frame) != "user":
            return None
        return self._heard(frame, event, argument)

    def _heard(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "exception":
            return self._heard
        self._ended()
        self._left -= 1
        if self._left < 0:
            self.now = ""
            sys.settrace(None)
            return None
        outer = (each for each in outwards(frame.f_back) if owner_of(each) == "user")
        at = next(outer, None) if event == "return" else frame
        self.now = line(at) if at is not None else ""
        return self._heard
