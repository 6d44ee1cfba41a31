"""The user's lines as they run, and what they did to local variables: where two runs first parted.

The ops of torch say where tensors part. A program that sorts names, reads a cache, or computes in
numpy parts at a line, which is found by looking at the local variables after each one: 10 to 50 µs a
line, so only to explain a mismatch, and only for a number of lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import Any

from pytest_repro.adapters import flatten_known
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.trace.line_steps import LineStep
from pytest_repro.interpose.user_frames import classify_frame, is_user_module
from pytest_repro.traces import pause_tracing
from pytest_repro.values.hashing import digest

MAX_LINES = 20_000
"""Lines that are looked at; a program goes on unwatched after them."""

_MAX_ITEMS, _MAX_DEPTH, _MAX_BYTES = 100, 4, 2**20
_PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None))


@contextmanager
def trace_lines(limit: int = MAX_LINES) -> Iterator[list[LineStep]]:
    """Watches the user's lines in this thread for a block; a debugger or a coverage tool waits meanwhile."""
    found: list[LineStep] = []
    before: Any = sys.gettrace()
    sys.settrace(_LineTracer(found, limit).trace_call)
    try:
        yield found
    finally:
        sys.settrace(before)


@contextmanager
def pause_all_tracing() -> Iterator[None]:
    """A block whose lines and ops do not count: what is made once for all runs."""
    before: Any = sys.gettrace()
    if isinstance(getattr(before, "__self__", None), _LineTracer):
        sys.settrace(None)
    try:
        with pause_tracing():
            yield
    finally:
        sys.settrace(before)


class _LineTracer:
    """What ``sys.settrace`` calls."""

    def __init__(self, steps: list[LineStep], limit: int) -> None:
        self._steps, self._limit = steps, limit
        self._frames: dict[FrameType, tuple[int, dict[str, str]]] = {}

    def trace_call(self, frame: FrameType, event: str, argument: object) -> Any:
        if len(self._steps) >= self._limit or classify_frame(frame) != "user":
            return None
        now = _digest_variables(frame.f_locals)
        self._steps.append(LineStep(f"{frame.f_code.co_filename}:{frame.f_lineno}", tuple(now.items())))
        self._frames[frame] = frame.f_lineno, now
        return self.trace_line

    def trace_line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event in ("line", "return") and len(self._steps) < self._limit:
            line, before = self._frames.get(frame, (frame.f_lineno, {}))
            now = _digest_variables(frame.f_locals)
            if event == "return":
                now["return"] = digest_value(argument)
            changed = tuple((n, d) for n, d in now.items() if before.get(n) != d)
            self._steps.append(LineStep(f"{frame.f_code.co_filename}:{line}", changed))
            self._frames[frame] = frame.f_lineno, now
        if event == "return":
            self._frames.pop(frame, None)
        return self.trace_line


def _digest_variables(variables: dict[str, object]) -> dict[str, str]:
    return {name: digest_value(value) for name, value in variables.items() if not name.startswith("@")}


def digest_value(value: object) -> str:
    """A digest of what *value* holds, in its order; without addresses, and never an error."""
    try:
        said = "\n".join(_describe_value(value, 0))
        return digest("local", [memoryview(said.encode("utf-8", "surrogatepass"))])[:16]
    except Exception:  # somebody else's object may do anything when it is asked
        return ""


def _describe_value(value: Any, depth: int) -> Iterator[str]:
    kind = type(value)
    if isinstance(value, _PLAIN_TYPES):
        yield repr(value)
    elif depth > _MAX_DEPTH:
        yield "…"
    elif isinstance(value, (set, frozenset)):  # no order of its own: what it does to others is seen there
        yield f"{len(value)} {' '.join(sorted(repr(each) for each in value if isinstance(each, _PLAIN_TYPES)))}"
    elif issubclass(kind, dict):
        yield f"dict {len(value)}"
        yield from _describe_items(
            (part for item in islice(value.items(), _MAX_ITEMS) for part in item), depth
        )
    elif issubclass(kind, (list, tuple)):
        yield f"{len(value)}"
        yield from _describe_items(islice(value, _MAX_ITEMS), depth)
    else:
        yield from _describe_object(value, kind, depth)


def _describe_items(values: Iterable[object], depth: int) -> Iterator[str]:
    for value in values:
        yield from _describe_value(value, depth + 1)


def _describe_object(value: Any, kind: type, depth: int) -> Iterator[str]:
    opened = flatten_known(value)
    if isinstance(opened, Leaf):
        yield digest(opened.kind, opened.read_chunks()) if opened.nbytes <= _MAX_BYTES else opened.kind
    elif isinstance(opened, Parts):
        yield from _describe_items((part for _, part in islice(opened.items, _MAX_ITEMS)), depth)
    else:
        yield kind.__qualname__
        home = sys.modules.get(kind.__module__)
        if home is not None and is_user_module(home):
            yield from _describe_items(list(getattr(value, "__dict__", {}).values())[:_MAX_ITEMS], depth)
