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

from pytest_repro.adapters import known
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.trace.line_steps import Step
from pytest_repro.interpose.user_frames import is_users, owner_of
from pytest_repro.traces import paused
from pytest_repro.values.hashing import digest

MOST = 20_000
"""Lines that are looked at; a program goes on unwatched after them."""

_ITEMS, _DEPTH, _NBYTES = 100, 4, 2**20
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


@contextmanager
def stepping(most: int = MOST) -> Iterator[list[Step]]:
    """Watches the user's lines in this thread for a block; a debugger or a coverage tool waits meanwhile."""
    found: list[Step] = []
    before: Any = sys.gettrace()
    sys.settrace(_Stepping(found, most).call)
    try:
        yield found
    finally:
        sys.settrace(before)


@contextmanager
def unwatched() -> Iterator[None]:
    """A block whose lines and ops do not count: what is made once for all runs."""
    before: Any = sys.gettrace()
    if isinstance(getattr(before, "__self__", None), _Stepping):
        sys.settrace(None)
    try:
        with paused():
            yield
    finally:
        sys.settrace(before)


class _Stepping:
    """What ``sys.settrace`` calls."""

    def __init__(self, found: list[Step], most: int) -> None:
        self._found, self._most = found, most
        self._frames: dict[FrameType, tuple[int, dict[str, str]]] = {}

    def call(self, frame: FrameType, event: str, argument: object) -> Any:
        if len(self._found) >= self._most or owner_of(frame) != "user":
            return None
        now = _looked_at(frame.f_locals)
        self._found.append(Step(f"{frame.f_code.co_filename}:{frame.f_lineno}", tuple(now.items())))
        self._frames[frame] = frame.f_lineno, now
        return self.line

    def line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event in ("line", "return") and len(self._found) < self._most:
            line, before = self._frames.get(frame, (frame.f_lineno, {}))
            now = _looked_at(frame.f_locals)
            if event == "return":
                now["return"] = looked_at(argument)
            changed = tuple((n, d) for n, d in now.items() if before.get(n) != d)
            self._found.append(Step(f"{frame.f_code.co_filename}:{line}", changed))
            self._frames[frame] = frame.f_lineno, now
        if event == "return":
            self._frames.pop(frame, None)
        return self.line


def _looked_at(variables: dict[str, object]) -> dict[str, str]:
    return {name: looked_at(value) for name, value in variables.items() if not name.startswith("@")}


def looked_at(value: object) -> str:
    """A digest of what *value* holds, in its order; without addresses, and never an error."""
    try:
        said = "\n".join(_said(value, 0))
        return digest("local", [memoryview(said.encode("utf-8", "surrogatepass"))])[:16]
    except Exception:  # somebody else's object may do anything when it is asked
        return ""


def _said(value: Any, depth: int) -> Iterator[str]:
    kind = type(value)
    if isinstance(value, _PLAIN):
        yield repr(value)
    elif depth > _DEPTH:
        yield "…"
    elif isinstance(value, (set, frozenset)):  # no order of its own: what it does to others is seen there
        yield f"{len(value)} {' '.join(sorted(repr(each) for each in value if isinstance(each, _PLAIN)))}"
    elif issubclass(kind, dict):
        yield f"dict {len(value)}"
        yield from _each((part for item in islice(value.items(), _ITEMS) for part in item), depth)
    elif issubclass(kind, (list, tuple)):
        yield f"{len(value)}"
        yield from _each(islice(value, _ITEMS), depth)
    else:
        yield from _object(value, kind, depth)


def _each(values: Iterable[object], depth: int) -> Iterator[str]:
    for value in values:
        yield from _said(value, depth + 1)


def _object(value: Any, kind: type, depth: int) -> Iterator[str]:
    opened = known(value)
    if isinstance(opened, Leaf):
        yield digest(opened.kind, opened.pieces()) if opened.nbytes <= _NBYTES else opened.kind
    elif isinstance(opened, Parts):
        yield from _each((part for _, part in islice(opened.items, _ITEMS)), depth)
    else:
        yield kind.__qualname__
        home = sys.modules.get(kind.__module__)
        if home is not None and is_users(home):
            yield from _each(list(getattr(value, "__dict__", {}).values())[:_ITEMS], depth)
