"""From an op of the backward pass to the op of the forward pass that it belongs to.

Autograd numbers its nodes. A node is made, and takes the next number, before the op it stands for
comes to a dispatch mode; while it runs backwards, torch tells which node is running.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any

import torch

from pytest_repro.core.trace.columns import NOWHERE

next_number: Callable[[], int]
next_number = getattr(getattr(torch._C, "_autograd", None), "_get_sequence_nr", lambda: 0)
running: Callable[[], Any] = getattr(torch._C, "_current_autograd_node", lambda: None)
# Private names: where one is gone, an op of the backward pass stands for itself.

_GAP = 10**6  # nodes between two ops; more than that is no sequence any more


class Links:
    """What each autograd node was made by, 4 bytes a node.

    Numbers are counted by each thread for itself: nodes made by other threads are not linked.

    Attributes:
        next: Number of the first node that is not linked yet.
    """

    __slots__ = ("_first", "_made", "_thread", "next")

    def __init__(self) -> None:
        self._thread = get_ident()
        self._begin(next_number())

    def _begin(self, number: int) -> None:
        self._first = self.next = number
        self._made = array("i")

    def forward(self) -> int:
        """What made the autograd node that is running, as a trace's column ``forward`` says it."""
        node = running()
        if node is None:
            return NOWHERE
        at = node._sequence_nr() - self._first
        return self._made[at] if 0 <= at < len(self._made) else NOWHERE

    def waiting(self, frame: FrameType) -> FrameType:
        """*frame*, or that of the thread which waits for the backward pass where it runs on another.

        Each device but the CPU has autograd on a thread of its own, where there is no line of the user's.
        """
        if get_ident() == self._thread or running() is None:
            return frame
        return sys._current_frames().get(self._thread, frame)

    def made(self, by: int) -> None:
        """All nodes since the last one that is linked were made by the op at index *by*."""
        if get_ident() != self._thread:
            return
        number = next_number()
        if 0 <= number - self.next < _GAP:
            self._made.extend((by,) * (number - self.next))
            self.next = number
        else:
            self._begin(number)
