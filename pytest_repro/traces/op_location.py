"""Finds the user's line that calls an op."""

from __future__ import annotations

import os
from types import CodeType, FrameType

from pytest_repro.core.trace.columns import StringTable
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
