"""Takes the plugin's own frames out of a traceback."""

from __future__ import annotations

import os
from types import TracebackType

_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep


def without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    """*trace* without the frames of this plugin: a failing test is nobody's but its author's."""
    trace = _beyond(trace)
    at = trace
    while at is not None:
        at.tb_next = _beyond(at.tb_next)
        at = at.tb_next
    return trace


def _beyond(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and is_own(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def is_own(file: str) -> bool:
    """Whether *file* is one of this package."""
    return file.startswith(_OURS)
