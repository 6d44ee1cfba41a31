"""Whose code a frame runs: the user's, a library's, Python's own, or the runner's."""

from __future__ import annotations

import dis
import os
import sysconfig
from collections.abc import Iterator
from functools import cache
from types import FrameType, ModuleType
from typing import Any, Literal, NamedTuple

CodeOwner = Literal["user", "library", "python", "runner", "none"]

_RUNNER_PACKAGES = {"_pytest", "pytest", "pluggy", "xdist", "execnet", "pytest_timeout"}
_OWN_RUNNER_PACKAGES = {"assertions", "companions", "engine", "plugin", "reports"}
_SITE_DIRS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STDLIB_DIRS = tuple({sysconfig.get_path("stdlib") + os.sep, sysconfig.get_path("platstdlib") + os.sep})
# Built from source, these lie outside of site-packages.
_LIBRARIES = {"torch", "numpy"}

_NON_USER_FILES: set[object] = set()


class Origin(NamedTuple):
    """Where a call comes from.

    Attributes:
        frame: The innermost frame of the user's code.
        via: The function that it called, where that made the call; else ``""``.
    """

    frame: FrameType
    via: str


@cache
def classify_code(filename: str, module: str) -> CodeOwner:
    """Whose code that is.

    Args:
        filename: As code objects have it.
        module: Dotted name of its module; ``""`` where that is not known.
    """
    top, _, rest = module.partition(".")
    if top == "pytest_repro":
        return "runner" if rest.partition(".")[0] in _OWN_RUNNER_PACKAGES else "none"
    if top in _RUNNER_PACKAGES:
        return "runner"
    if top in _LIBRARIES or any(part in filename for part in _SITE_DIRS):
        return "library"
    if filename.startswith(_STDLIB_DIRS):
        return "python"
    # "<string>" is what dataclasses and named tuples are made of, "<frozen …>" the import system.
    return "user" if not filename.startswith("<") or filename.startswith("<doctest") else "python"


def get_module_name(frame: FrameType) -> str:
    """Dotted name of the module whose code *frame* runs."""
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def classify_frame(frame: FrameType) -> CodeOwner:
    """Whose code *frame* runs."""
    return classify_code(frame.f_code.co_filename, get_module_name(frame))


def walk_up(frame: FrameType | None) -> Iterator[FrameType]:
    """*frame* and those that have called it, the innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def caller_frame(frame: FrameType) -> FrameType:
    """The frame that asks: *frame*, or where that only listens, the one that asked it."""
    while get_module_name(frame).startswith("pytest_repro.interpose") and frame.f_back is not None:
        frame = frame.f_back
    return frame


def is_user_module(module: ModuleType) -> bool:
    """Whether *module* is a file of the user's, or what is typed in."""
    file = vars(module).get("__file__")
    if file in _NON_USER_FILES:  # 0.3 µs each, of some thousand that are gone through
        return False
    if not isinstance(file, str):
        return module.__name__ == "__main__"
    mine = classify_code(file, module.__name__) == "user"
    if not mine:
        _NON_USER_FILES.add(file)
    return mine


def call_origin(frame: FrameType | None) -> Origin | None:
    """Where the call made by *frame* comes from; None where the runner asks on its own account.

    A thread that runs no line of the user's at all is its outermost frame's doing that is not
    Python's own.
    """
    via, last = "", None
    for each in walk_up(frame):
        whose = classify_frame(each)
        # What a library asks while it is imported (torch._dynamo: a folder's name) is no line's doing.
        if whose == "runner" or each.f_code.co_filename == "<frozen importlib._bootstrap>":
            return None
        if whose == "user":
            return Origin(each, via)
        if whose != "none":
            via = f"{get_module_name(each)}.{each.f_code.co_name}"
            last = last if last is not None and whose == "python" else each
    return None if last is None else Origin(last, "")


def format_location(frame: FrameType) -> str:
    """``"/abs/file.py:12"``: where *frame* is."""
    return f"{os.path.abspath(frame.f_code.co_filename)}:{frame.f_lineno}"


def find_called_name(frame: FrameType, names: frozenset[str]) -> str | None:
    """Which of *names* the code of *frame* is calling right now; None where it cannot be told.

    A function written in C or Cython has no frame; its name is read off the bytecode instead.

    Args:
        frame: A frame that runs.
        names: ``"PCG64"``; or ``"RandomState()"``, which says whether there are arguments:
            ``"RandomState(…)"`` is what is found where there are.
    """
    done = [i for i in dis.get_instructions(frame.f_code) if i.offset <= frame.f_lasti]
    call = done[-1]
    wanted = names | {name.removesuffix("()") for name in names}
    for each in reversed(done):
        if (
            isinstance(each.argval, str)
            and each.argval in wanted
            and _start_position(each) == _start_position(call)
        ):
            name: str = each.argval
            return name if name in names else f"{name}({'…' if call.arg else ''})"
    return None


def _start_position(instruction: dis.Instruction) -> object:
    """Where in the source it starts: a call starts where the name does that is called (Python 3.11)."""
    positions: Any = getattr(instruction, "positions", None)
    return positions and (positions.lineno, positions.col_offset)
