"""A call as it stands in the source."""

from __future__ import annotations

import linecache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

_MAX_WIDTH = 100


def read_call_source(frame: FrameType) -> str:
    """The call that *frame* is making, as it is written; ``""`` where there is no source.

    Before Python 3.11 code does not know its columns: then the whole line.
    """
    first, last, start, end = _find_position(frame.f_code, frame.f_lasti)
    first = first or frame.f_lineno
    written = linecache.getlines(frame.f_code.co_filename)[first - 1 : last or first]
    lines = [line.encode() for line in written]
    if not lines:
        return ""
    lines[-1] = lines[-1][:end]  # columns count bytes
    lines[0] = lines[0][start:]
    text = " ".join(b" ".join(lines).decode("utf-8", "replace").split())
    return text if len(text) <= _MAX_WIDTH else f"{text[: _MAX_WIDTH - 1]}…"


def _find_position(code: CodeType, offset: int) -> tuple[int | None, ...]:
    """First and last line, first and last column of the instruction at *offset*."""
    positions: Any = getattr(code, "co_positions", lambda: ())
    return next(islice(positions(), offset // 2, None), (None,) * 4)
