"""Whose code a frame runs, and what it calls."""

from __future__ import annotations

import dis
import gc
import linecache
import os
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from pytest_repro.interpose.code_owner import CodeOwner, classify_code

_MAX_SOURCE_WIDTH = 100
_AUTOGRAD_MODULES = {"torch.autograd", "torch.autograd.graph"}


class Line(Protocol):
    """A line that runs or has run, in a frame or without its variables."""

    @property
    def f_code(self) -> CodeType: ...
    @property
    def f_lasti(self) -> int: ...
    @property
    def f_lineno(self) -> int: ...


class _PastLine(NamedTuple):
    f_code: CodeType
    f_lasti: int
    f_lineno: int


class Origin(NamedTuple):
    """Where a call comes from.

    Attributes:
        frame: The innermost frame of the user's code, or the line that started the thread.
        via: The library function through which that frame made the call, or ``""``.
    """

    frame: Line
    via: str

    def shorten(self) -> Origin:
        """The same without the variables of the frame, as the start of work that outlives it.

        That a function of the standard library starts it tells nothing.
        """
        line = _PastLine(self.frame.f_code, self.frame.f_lasti, self.frame.f_lineno or 0)
        return Origin(line, "" if self.via.partition(".")[0] in sys.stdlib_module_names else self.via)


class _CurrentWork(threading.local):
    """What the present thread works for: the call that has a pool call a function."""

    origin: Origin | None = None


current_work = _CurrentWork()
started_by: WeakKeyDictionary[threading.Thread, Origin] = WeakKeyDictionary()
"""Thread → the line that started it, as far as noted."""


def _find_start() -> Origin | None:
    """The user's line that started the work of this thread, if it was noted."""
    thread = vars(threading)["_active"].get(threading.get_ident())  # current_thread() would add one
    return _find_backward_pass() if thread is None else current_work.origin or started_by.get(thread)


def _find_backward_pass() -> Origin | None:
    """The user's line that waits for a backward pass of torch, which runs on threads of its own for GPUs."""
    waiting = (each for each in read_thread_frames().values() if get_module_name(each) in _AUTOGRAD_MODULES)
    users = (each for frame in waiting for each in walk_up(frame) if classify_frame(each) == "user")
    return next((Origin(each, "") for each in users), None)


def read_thread_frames() -> dict[int, FrameType]:
    """The innermost frame of each thread, by its identifier."""
    # Up to Python 3.11 a garbage collection in here hangs: github.com/python/cpython/issues/106883
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if was_enabled:
            gc.enable()


def get_module_name(frame: FrameType) -> str:
    """Dotted name of the module whose code *frame* runs, or ``""``."""
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def classify_frame(frame: FrameType) -> CodeOwner:
    """The owner of the code that *frame* runs."""
    return classify_code(frame.f_code.co_filename, get_module_name(frame))


def walk_up(frame: FrameType | None) -> Iterator[FrameType]:
    """*frame* and its callers, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def skip_generated(frame: FrameType) -> FrameType:
    """*frame*, or the caller of the code that ``exec()`` has made: the ``__init__`` of a dataclass."""
    callers = (each for each in walk_up(frame) if each.f_code.co_filename != "<string>")
    return next(callers, frame)


def find_caller(frame: FrameType) -> FrameType:
    """The caller of *frame*; *frame* itself if compiled code called it, in a thread without Python frames."""
    return frame.f_back or frame


def caller_frame(frame: FrameType) -> FrameType:
    """*frame*, or its first caller outside this package."""
    while get_module_name(frame).startswith("pytest_repro.interpose") and frame.f_back is not None:
        frame = frame.f_back
    return frame


def call_origin(frame: FrameType | None) -> Origin | None:
    """Where the call made by *frame* comes from; None if the runner or an import made it.

    In a thread without user code it is the user's line that started its work; if that was not noted, the
    outermost frame that is not of the standard library.
    """
    last, innermost, libraries = None, None, list[FrameType]()
    for caller in walk_up(frame):
        code_owner = classify_frame(caller)
        # Calls that a library makes while it is imported (torch._dynamo) belong to no line.
        if code_owner == "runner" or caller.f_code.co_filename == "<frozen importlib._bootstrap>":
            return None
        if code_owner == "user":
            return Origin(caller, _name_function(last))
        if code_owner != "none":
            last, innermost = caller, innermost or caller
        if code_owner == "library":
            libraries.append(caller)
    if (start := _find_start()) is not None:
        return start._replace(via=_choose_via(start.via, libraries))
    found = libraries[-1] if libraries else innermost
    return None if found is None or found.f_code.co_filename.startswith("<") else Origin(found, "")


def _choose_via(start: str, libraries: list[FrameType]) -> str:
    """The library function to name of *start*, which started the work, and those that do it, innermost first.

    What ``joblib`` calls in a thread, for a line that calls ``joblib``, tells more than ``joblib``.
    """
    package = start.partition(".")[0]
    others = [each for each in libraries if get_module_name(each).partition(".")[0] != package]
    is_pool = bool(others) and (not start or libraries[-1] is not others[-1])
    return _name_function(others[-1]) if is_pool else start


def _name_function(frame: FrameType | None) -> str:
    return f"{get_module_name(frame)}.{frame.f_code.co_name}" if frame is not None else ""


def format_location(frame: Line) -> str:
    """The current line of *frame*: ``"/abs/file.py:12"``."""
    return f"{os.path.abspath(frame.f_code.co_filename)}:{frame.f_lineno}"


def find_called_name(frame: FrameType, names: frozenset[str]) -> str | None:
    """Which of *names* the code of *frame* is calling now; None if none can be found.

    A function written in C or Cython has no frame, so its name is read from the caller's bytecode.
    Of the name ``"RandomState()"``, a call with arguments returns ``"RandomState(…)"``.
    """
    executed = [i for i in dis.get_instructions(frame.f_code) if i.offset <= frame.f_lasti]
    call = executed[-1]
    bare_names = names | {name.removesuffix("()") for name in names}
    for each in reversed(executed):
        name = each.argval
        if isinstance(name, str) and name in bare_names and _start_position(each) == _start_position(call):
            return name if name in names else f"{name}({'…' if call.arg else ''})"
    return None


def _start_position(instruction: dis.Instruction) -> object:
    """Line and column: from Python 3.11 on a call starts where the name of its function starts."""
    positions: Any = getattr(instruction, "positions", None)
    return positions and (positions.lineno, positions.col_offset)


def read_call_source(frame: Line) -> str:
    """Source text of the call that *frame* is making, on one line; ``""`` without source.

    Before Python 3.11 code objects have no columns: then the whole line.
    """
    first, last, start, end = _find_source_range(frame.f_code, frame.f_lasti)
    first = first or frame.f_lineno
    source_lines = linecache.getlines(frame.f_code.co_filename)[first - 1 : last or first]
    if not (lines := [line.encode() for line in source_lines]):
        return ""
    lines[-1] = lines[-1][:end]  # columns count bytes
    lines[0] = lines[0][start:]
    text = " ".join(b" ".join(lines).decode("utf-8", "replace").split())
    return text if len(text) <= _MAX_SOURCE_WIDTH else f"{text[: _MAX_SOURCE_WIDTH - 1]}…"


def _find_source_range(code: CodeType, offset: int) -> tuple[int | None, ...]:
    """First and last line, first and last column of the instruction at *offset*."""
    positions: Any = getattr(code, "co_positions", lambda: ())
    return next(islice(positions(), offset // 2, None), (None,) * 4)
