"""Takes the plugin's own frames out of a traceback."""

from __future__ import annotations

import os
from types import TracebackType

import pytest_repro

_PACKAGE_FOLDER = os.path.dirname(str(pytest_repro.__file__)) + os.sep


def strip_own_frames(tb: TracebackType | None) -> TracebackType | None:
    """*tb* without the frames of this plugin: a failing test is nobody's but its author's."""
    tb = _skip_own_frames(tb)
    at = tb
    while at is not None:
        at.tb_next = _skip_own_frames(at.tb_next)
        at = at.tb_next
    return tb


def _skip_own_frames(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and is_own_file(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def is_own_file(file: str) -> bool:
    """Whether *file* is one of this package."""
    return file.startswith(_PACKAGE_FOLDER)
