"""Traces the user's lines and local variables, to find the line at which two runs diverge.

Ops of torch show where tensors diverge. A program that sorts names, reads a cache or computes in numpy
diverges at a line, found by digesting the local variables after each one: 10 to 50 µs a line, so only to
explain a mismatch, and only for a limited number of lines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import PurePath
from types import FrameType
from typing import Any

from pytest_repro.adapters import flatten_known
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.trace.divergence import LineStep
from pytest_repro.engine.experiments.state.iterators import PLAIN_TYPES
from pytest_repro.engine.experiments.state.process_state import format_plain_members
from pytest_repro.engine.runs.current_run import rename_in_run
from pytest_repro.interpose.code_owner import is_user_module
from pytest_repro.interpose.user_frames import classify_frame, format_location, walk_up
from pytest_repro.traces import pause_tracing
from pytest_repro.values.hashing import digest

MAX_LINES = 20_000
"""Lines that are traced; later ones run untraced."""

_MAX_ITEMS, _MAX_DEPTH, _MAX_NBYTES = 100, 4, 2**20


@contextmanager
def trace_lines(
    limit: int = MAX_LINES, on_line: Callable[[FrameType], None] = lambda frame: None
) -> Iterator[list[LineStep]]:
    """Traces the user's lines in this thread for a block, instead of a debugger or coverage tool.

    Args:
        limit: Lines that are traced.
        on_line: Called before each of them.
    """
    steps: list[LineStep] = []
    previous: Any = sys.gettrace()
    sys.settrace(_LineTracer(steps, limit, on_line).trace_call)
    try:
        yield steps
    finally:
        sys.settrace(previous)


@contextmanager
def pause_all_tracing() -> Iterator[None]:
    """Traces no lines and no ops in the block, whose work is shared by all runs."""
    previous: Any = sys.gettrace()
    if isinstance(getattr(previous, "__self__", None), _LineTracer):
        sys.settrace(None)
    try:
        with pause_tracing():
            yield
    finally:
        sys.settrace(previous)


class _LineTracer:
    def __init__(self, steps: list[LineStep], limit: int, on_line: Callable[[FrameType], None]) -> None:
        self._steps, self._limit, self._on_line = steps, limit, on_line
        self._frames: dict[FrameType, tuple[int, dict[str, str]]] = {}

    def trace_call(self, frame: FrameType, event: str, argument: object) -> Any:
        if len(self._steps) >= self._limit or classify_frame(frame) != "user":
            return None
        digests = _digest_variables(frame.f_locals)
        self._steps.append(LineStep(f"{frame.f_code.co_filename}:{frame.f_lineno}", tuple(digests.items())))
        self._frames[frame] = frame.f_lineno, digests
        return self.trace_line

    def trace_line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event in ("line", "return") and len(self._steps) < self._limit:
            line, before = self._frames.get(frame, (frame.f_lineno, {}))
            digests = _digest_variables(frame.f_locals)
            if event == "return":
                digests["return"] = digest_value(argument)
            changed = tuple((n, d) for n, d in digests.items() if before.get(n) != d)
            self._steps.append(LineStep(f"{frame.f_code.co_filename}:{line}", changed))
            self._frames[frame] = frame.f_lineno, digests
        if event == "return":
            self._frames.pop(frame, None)
        elif event == "line":
            self._on_line(frame)
        return self.trace_line


def _digest_variables(variables: dict[str, object]) -> dict[str, str]:
    return {name: digest_value(value) for name, value in variables.items() if not name.startswith("@")}


def digest_value(value: object) -> str:
    """A digest of the content of *value*, without addresses; ``""`` if it cannot be read."""
    try:
        description = "\n".join(_describe_value(value, 0))
        return digest("local", [memoryview(description.encode("utf-8", "surrogatepass"))])[:16]
    except Exception:  # a foreign object may raise anything when it is read
        return ""


def _describe_value(value: Any, depth: int) -> Iterator[str]:
    value = rename_in_run(value)
    if isinstance(value, PLAIN_TYPES):
        yield repr(value)
    elif depth > _MAX_DEPTH:
        yield "…"
    elif isinstance(value, (set, frozenset)):  # sorted: what its order affects shows up in other variables
        yield f"{len(value)} {format_plain_members(value)}"
    elif issubclass(type(value), dict):
        yield f"dict {len(value)}"
        yield from _describe_items(chain.from_iterable(islice(value.items(), _MAX_ITEMS)), depth)
    elif issubclass(type(value), (list, tuple)):
        yield f"{len(value)}"
        yield from _describe_items(islice(value, _MAX_ITEMS), depth)
    else:
        yield from _describe_object(value, depth)


def _describe_items(values: Iterable[object], depth: int) -> Iterator[str]:
    for value in values:
        yield from _describe_value(value, depth + 1)


def _describe_object(value: Any, depth: int) -> Iterator[str]:
    # The folders of two runs have different names.
    flat = None if isinstance(value, PurePath) else flatten_known(value)
    if isinstance(flat, Leaf):
        yield digest(flat.kind, flat.read_chunks()) if flat.nbytes <= _MAX_NBYTES else flat.kind
    elif isinstance(flat, Parts):
        yield from _describe_items((part for _, part in islice(flat.items, _MAX_ITEMS)), depth)
    else:
        yield type(value).__qualname__
        module = sys.modules.get(type(value).__module__)
        if module is not None and is_user_module(module):
            yield from _describe_items(list(getattr(value, "__dict__", {}).values())[:_MAX_ITEMS], depth)


class LineMonitor:
    """Calls *on_line_end* after each of the user's lines, up to *max_lines*.

    Args:
        on_line_end: Is also called before a function of the user's begins.
        on_other_call: Called with the frame of each call of other code; returns what traces that frame.

    Attributes:
        current_line: The line that runs or has just ended, ``"/abs/file.py:12"``; ``""`` if not monitored.
    """

    def __init__(
        self,
        on_line_end: Callable[[], None],
        on_other_call: Callable[[FrameType], Any] = lambda frame: None,
        max_lines: int | None = None,
    ) -> None:
        self.current_line, self._on_line_end, self._on_other_call = "", on_line_end, on_other_call
        self._lines_left = MAX_LINES if max_lines is None else max_lines

    @contextmanager
    def monitor(self, frame: FrameType | None) -> Iterator[None]:
        """Monitors lines of this thread in the block, in *frame* and its callers too, if given.

        Does nothing while a debugger or a coverage tool traces.
        """
        if sys.gettrace() is not None:
            yield
            return
        callers = [(each, each.f_trace) for each in walk_up(frame) if classify_frame(each) == "user"]
        for caller, _ in callers:
            caller.f_trace = self._trace_line
        self.current_line = format_location(frame) if frame is not None else ""
        sys.settrace(self._trace_call)
        try:
            yield
        finally:
            if sys.gettrace() == self._trace_call:
                sys.settrace(None)
            for caller, previous in callers:
                if caller.f_trace == self._trace_line:  # not a debugger's, started in the block
                    caller.f_trace = previous

    def _trace_call(self, frame: FrameType, event: str, argument: object) -> Any:
        if classify_frame(frame) != "user":
            return self._on_other_call(frame)
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
        callers = (each for each in walk_up(frame.f_back) if classify_frame(each) == "user")
        next_frame = next(callers, None) if event == "return" else frame
        self.current_line = format_location(next_frame) if next_frame is not None else ""
        return self._trace_line
