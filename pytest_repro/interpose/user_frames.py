"""Whose code a frame runs, and what it calls."""

from __future__ import annotations

import dis
import linecache
import os
from collections.abc import Iterator
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple

from pytest_repro.interpose.code_owner import CodeOwner, classify_code

_MAX_SOURCE_WIDTH = 100


class Origin(NamedTuple):
    """Where a call comes from.

    Attributes:
        frame: The innermost frame of the user's code.
        via: The library function through which that frame made the call, or ``""``.
    """

    frame: FrameType
    via: str


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


def caller_frame(frame: FrameType) -> FrameType:
    """*frame*, or its first caller outside this package."""
    while get_module_name(frame).startswith("pytest_repro.interpose") and frame.f_back is not None:
        frame = frame.f_back
    return frame


def call_origin(frame: FrameType | None) -> Origin | None:
    """Where the call made by *frame* comes from; None if the runner or an import made it.

    In a thread without user code it is the outermost frame that is not of the standard library.
    """
    via, outermost = "", None
    for caller in walk_up(frame):
        code_owner = classify_frame(caller)
        # Calls that a library makes while it is imported (torch._dynamo) belong to no line.
        if code_owner == "runner" or caller.f_code.co_filename == "<frozen importlib._bootstrap>":
            return None
        if code_owner == "user":
            return Origin(caller, via)
        if code_owner != "none":
            via = f"{get_module_name(caller)}.{caller.f_code.co_name}"
            outermost = outermost if outermost is not None and code_owner == "python" else caller
    return None if outermost is None else Origin(outermost, "")


def format_location(frame: FrameType) -> str:
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


def read_call_source(frame: FrameType) -> str:
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
