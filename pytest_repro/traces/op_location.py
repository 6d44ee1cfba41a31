"""Which line of the user's an op stands on."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

import pytest_repro
from pytest_repro.core.trace.columns import StringTable

_INSTALL_FOLDERS = {"site-packages", "dist-packages"}
_INTERACTIVE_NAMES = ("<stdin", "<ipython", "<doctest", "<string")  # other names in <> are made by libraries


@cache
def _library_folders() -> tuple[str, ...]:
    """Folders of code that is not the user's, wherever they lie."""
    packages = [pytest_repro, *(sys.modules[n] for n in ("torch", "numpy") if n in sys.modules)]
    found = [Path(str(package.__file__)).parent for package in packages]
    found += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return tuple(f"{folder}{os.sep}" for each in found for folder in {each, each.resolve()})


@cache
def is_user_file(filename: str) -> bool:
    """Whether code of *filename* is the user's: no library's, installed or standard, nor ours."""
    if filename.startswith("<"):
        return filename.startswith(_INTERACTIVE_NAMES)
    path = os.path.abspath(filename)
    return not path.startswith(_library_folders()) and _INSTALL_FOLDERS.isdisjoint(path.split(os.sep))


class Locator:
    """Finds the innermost line of the user's, and gives it a number.

    The line is looked up once for each instruction: walking to it takes 50 ns a frame, where the
    line of a frame alone takes up to 2 µs in a long function.
    """

    __slots__ = ("_codes", "_texts")

    def __init__(self, texts: StringTable) -> None:
        # By the id of the code, since hashing code reads all of it; the code is kept, so that
        # none other takes its id. For the user's: number of the place by instruction.
        self._codes: dict[int, tuple[CodeType, dict[int, int] | None]] = {}
        self._texts = texts

    def locate(self, frame: FrameType | None) -> int:
        """The number of the innermost place of the user's, seen from *frame* outwards."""
        known = self._codes
        while frame is not None:
            code = frame.f_code
            found = known.get(id(code)) or self._add_code(code)
            if found[1] is not None:
                number = found[1].get(frame.f_lasti)
                return self._add_line(found[1], frame) if number is None else number
            frame = frame.f_back
        return self._texts.intern("")

    def _add_code(self, code: CodeType) -> tuple[CodeType, dict[int, int] | None]:
        found = self._codes[id(code)] = (code, {} if is_user_file(code.co_filename) else None)
        return found

    def _add_line(self, numbers: dict[int, int], frame: FrameType) -> int:
        name = frame.f_code.co_filename
        path = name if name.startswith("<") else os.path.abspath(name)
        number = numbers[frame.f_lasti] = self._texts.intern(f"{path}:{frame.f_lineno}")
        return number
