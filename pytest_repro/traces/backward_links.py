"""Links an op of the backward pass to its op of the forward pass.

Autograd numbers its nodes. A node is created, and takes the next number, before its op reaches a
dispatch mode; during the backward pass torch reports the running node.
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
# Private names: without one, ops of the backward pass have no link.

_MAX_GAP = 10**6  # nodes between two ops; a larger difference is another sequence


class BackwardLinks:
    """The op that created each autograd node, in 4 bytes per node.

    Each thread counts its own nodes: those of other threads are not linked.

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
        """The op that created the running autograd node, as a value of the column ``forward``."""
        node = get_running_node()
        if node is None:
            return NO_FORWARD
        offset = node._sequence_nr() - self._first_number
        return self._op_indices[offset] if 0 <= offset < len(self._op_indices) else NO_FORWARD

    def find_calling_frame(self, frame: FrameType) -> FrameType:
        """*frame*; on another thread of autograd, the frame of the thread that waits for it.

        Autograd runs on one thread per device except the CPU, and these have no user code.
        """
        if get_ident() == self._thread or get_running_node() is None:
            return frame
        return sys._current_frames().get(self._thread, frame)

    def link_nodes(self, op_index: int) -> None:
        """Links all nodes since :attr:`next_node` to the op at *op_index*."""
        if get_ident() != self._thread:
            return
        number = next_sequence_number()
        if 0 <= number - self.next_node < _MAX_GAP:
            self._op_indices.extend((op_index,) * (number - self.next_node))
            self.next_node = number
        else:
            self._reset(number)
