"""Environment variables that an import sets: ``KMP_DUPLICATE_LIB_OK``, ``TORCHINDUCTOR_CACHE_DIR``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pytest_repro.interpose.user_frames import classify_frame, get_module_name, walk_up


@contextmanager
def keep_variables(frame: FrameType) -> Iterator[None]:
    """Restores the variables after a block in which *frame* imports a module for this package.

    What an import of the user's own code sets stays set.
    """
    if not _is_own_call(frame):
        yield
        return
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name not in before]:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


def _is_own_call(frame: FrameType) -> bool:
    for caller in walk_up(frame):
        name = get_module_name(caller)
        if name.startswith("pytest_repro.interpose."):
            continue
        if name.startswith("pytest_repro."):
            return True
        if classify_frame(caller) in ("user", "runner"):
            return False
    return False
