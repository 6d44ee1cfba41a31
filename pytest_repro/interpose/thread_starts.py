"""Notes which of the user's lines starts the work of a thread.

Without it, a call that a library makes on a thread of its own has no line of the user's.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from pytest_repro.interpose.patch import Patch, make_patch, patch_everywhere
from pytest_repro.interpose.user_frames import Origin, call_origin, current_work, started_by

_POOL_METHODS = {
    "concurrent.futures.thread:ThreadPoolExecutor": ("submit",),
    "multiprocessing.pool:ThreadPool": (
        "apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered",
    ),
}  # fmt: skip
"""Class → its methods that have a thread call a function, their first argument."""


def note_thread_starts() -> AbstractContextManager[None]:
    """Notes them in the block: for each thread that it starts, and for each function that a pool calls."""
    return patch_everywhere(_make_patches())


def _make_patches() -> Iterator[Patch]:
    yield _make_patch(threading.Thread, "start", threading.Thread.start, _make_start)
    for pool, names in _POOL_METHODS.items():
        module, _, kind = pool.partition(":")
        owner = getattr(sys.modules.get(module), kind, None)
        for name in names if owner is not None else ():
            yield _make_patch(owner, name, getattr(owner, name), _make_submit)


@lru_cache(maxsize=64)  # every experiment notes them
def _make_patch(
    owner: type, name: str, real: Callable[..., Any], wrap: Callable[..., Callable[..., Any]]
) -> Patch:
    return make_patch(owner, name, wrap(real))


def _make_start(real: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def start(self: threading.Thread) -> None:
        if (origin := call_origin(sys._getframe(1))) is not None:
            started_by[self] = origin.shorten()
        real(self)

    return start


def _make_submit(real: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, *args: Any, **named: Any) -> Any:
        if (origin := call_origin(sys._getframe(1))) is not None:
            if args:
                args = _note_origin(args[0], origin.shorten()), *args[1:]
            elif "func" in named:
                named["func"] = _note_origin(named["func"], origin.shorten())
        return real(self, *args, **named)

    return submit


def _note_origin(function: Callable[..., Any], origin: Origin) -> Callable[..., Any]:
    """*function*, during which its thread works for the line *origin*."""

    def note_and_call(*args: Any, **named: Any) -> Any:
        outer, current_work.origin = current_work.origin, origin
        try:
            return function(*args, **named)
        finally:
            current_work.origin = outer

    return note_and_call
