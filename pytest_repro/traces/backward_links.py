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

from pytest_repro.core.trace.columns import NO_FORWARD

next_sequence_number: Callable[[], int]
next_sequence_number = getattr(getattr(torch._C, "_autograd", None), "_get_sequence_nr", lambda: 0)
get_running_node: Callable[[], Any] = getattr(torch._C, "_current_autograd_node", lambda: None)
# Private names: where one is gone, an op of the backward pass stands for itself.

_MAX_GAP = 10**6  # nodes between two ops; more than that is no sequence any more


class BackwardLinks:
    """What each autograd node was made by, 4 bytes a node.

    Numbers are counted by each thread for itself: nodes made by other threads are not linked.

    Attributes:
        next_node: Number of the first node that is not linked yet.
    """

    __slots__ = ("_first_number", "_op_indices", "_thread", "next_node")

    def __init__(self) -> None:
        self._thread = get_ident()
        self._reset(next_sequence_number())

    def _reset(self, number: int) -> None:
        self._first_number = self.next_node = number
        self._op_indices = array("i")

    def find_forward_op(self) -> int:
        """What made the autograd node that is running, as a trace's column ``forward`` says it."""
        node = get_running_node()
        if node is None:
            return NO_FORWARD
        at = node._sequence_nr() - self._first_number
        return self._op_indices[at] if 0 <= at < len(self._op_indices) else NO_FORWARD

    def find_calling_frame(self, frame: FrameType) -> FrameType:
        """*frame*, or that of the thread which waits for the backward pass where it runs on another.

        Each device but the CPU has autograd on a thread of its own, where there is no line of the user's.
        """
        if get_ident() == self._thread or get_running_node() is None:
            return frame
        return sys._current_frames().get(self._thread, frame)

    def link_nodes(self, op_index: int) -> None:
        """All nodes since the last one that is linked were made by the op at index *op_index*."""
        if get_ident() != self._thread:
            return
        number = next_sequence_number()
        if 0 <= number - self.next_node < _MAX_GAP:
            self._op_indices.extend((op_index,) * (number - self.next_node))
            self.next_node = number
        else:
            self._reset(number)
