"""Finds the user's line that calls an op, and for an op of the backward pass its op of the forward pass.

Autograd numbers its nodes. A node is created, and takes the next number, before its op reaches a
dispatch mode; during the backward pass torch reports the running node.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Callable
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

import torch

from pytest_repro.core.trace.columns import NO_FORWARD, StringTable
from pytest_repro.interpose.user_frames import classify_frame, get_module_name

_RUNNER_LINES: dict[int, int] = {}  # stands for code of the runner, which ends the search


def _is_user_code(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith("<string") or classify_frame(frame) == "user"


def _is_runner(frame: FrameType) -> bool:
    """Whether *frame* is of pytest or of a companion, below which are only scripts that start them."""
    name = get_module_name(frame)
    is_own = name.startswith("pytest_repro.") and not name.startswith("pytest_repro.companions.")
    return not is_own and classify_frame(frame) == "runner"


class Locator:
    """Finds and numbers the innermost line of user code.

    Line numbers are cached by instruction: walking up takes 50 ns per frame, but ``f_lineno`` up to
    2 µs in a long function.
    """

    __slots__ = ("_codes", "_locations")

    def __init__(self, locations: StringTable) -> None:
        # By id, since hashing a code object reads all of it; the code is kept so that its id is not
        # reused. For user code: location number by instruction.
        self._codes: dict[int, tuple[CodeType, dict[int, int] | None]] = {}
        self._locations = locations

    def locate(self, frame: FrameType | None) -> int:
        """The number of the innermost user line among *frame* and its callers."""
        codes = self._codes
        while frame is not None:
            code = frame.f_code
            entry = codes.get(id(code)) or self._add_code(frame)
            if entry[1] is _RUNNER_LINES:
                break
            if entry[1] is not None:
                number = entry[1].get(frame.f_lasti)
                return self._add_line(entry[1], frame) if number is None else number
            frame = frame.f_back
        return self._locations.intern("")

    def _add_code(self, frame: FrameType) -> tuple[CodeType, dict[int, int] | None]:
        code = frame.f_code
        lines = _RUNNER_LINES if _is_runner(frame) else {} if _is_user_code(frame) else None
        entry = self._codes[id(code)] = (code, lines)
        return entry

    def _add_line(self, numbers: dict[int, int], frame: FrameType) -> int:
        name = frame.f_code.co_filename
        path = name if name.startswith("<") else os.path.abspath(name)
        number = numbers[frame.f_lasti] = self._locations.intern(f"{path}:{frame.f_lineno}")
        return number


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
