"""Threads that run one after another, and how long one is waited for."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from types import FrameType
from typing import Any, TypeVar

from pytest_repro.causes._not_suspended import loose
from pytest_repro.interpose.patch import Swap, renamed
from pytest_repro.interpose.user_frames import asker, module_of, outwards, owner_of

T = TypeVar("T")

ORDER = "completion-order"

PATIENCE = 5.0
"""Seconds after which a thread is left to itself."""
PROCESS_PATIENCE = 2.0
"""The same for a process, of which nobody sees whether it waits for another."""
_STEP, _STEPS = 0.01, 5  # seconds between looks at a thread, and how many find it waiting

# Where a thread is when it waits for another: for a lock, an item, a connection.
_SYNCHRONISING = {
    "asyncio",
    "concurrent",
    "multiprocessing",
    "queue",
    "selectors",
    "socketserver",
    "threading",
}


def wait_for(
    done: Callable[[float], object], threads: Sequence[int | None], patience: float | None = None
) -> None:
    """Waits until something is done, but not while its thread waits for others.

    Args:
        done: Waits for some seconds at most; says whether it is done.
        threads: Holds the identifier of the thread that does it, once that is known.
        patience: Seconds after which it is left to itself; None: as many as for a thread.
    """
    end, waiting = monotonic() + (patience or PATIENCE), 0
    while not done(_STEP):
        waiting = waiting + 1 if any(map(_waits, threads)) else 0
        if waiting == _STEPS:
            loose(ORDER, "threads wait for each other, so that none can be run to its end before the next")
            return
        if monotonic() >= end:
            left_alone(patience or PATIENCE)
            return


def left_alone(patience: float) -> None:
    """Says that somebody took longer than *patience* seconds, and runs on beside the others."""
    loose(ORDER, f"a thread, process or task takes longer than {patience:g} s and runs on beside the others")


def _waits(thread: int | None) -> bool:
    frame = _frame(thread) if thread is not None else None
    if frame is None or module_of(frame).partition(".")[0] not in _SYNCHRONISING:
        return frame is not None and frame.f_code.co_name == "accept"
    # What it waits for is no other thread of the program's: a program, or one that it has started.
    return not any(f.f_code is wait_for.__code__ or module_of(f) == "subprocess" for f in outwards(frame))


def _frame(thread: int) -> FrameType | None:
    """Where *thread* is now."""
    # Up to Python 3.11 a collection in here hangs for ever: github.com/python/cpython/issues/106883
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(thread)
    finally:
        if collects:
            gc.enable()


def telling(function: Callable[..., Any], thread: list[int]) -> Callable[..., Any]:
    """*function*, which puts down by which thread it is called."""

    def told(*args: Any, **named: Any) -> Any:
        thread.append(threading.get_ident())
        return function(*args, **named)

    return told


def in_turn() -> Iterator[Swap]:
    """``Thread.start``, which waits for what it has started."""
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        real(self)
        # Python's own threads wait for work: what is given to them is waited for.
        if owner_of(asker(sys._getframe(1))) in ("user", "library"):
            wait_for(lambda step: _joined(self, step), [self.ident])

    yield Swap(threading.Thread, "start", renamed(start, real, threading.Thread, "start"))


def _joined(thread: threading.Thread, step: float) -> bool:
    thread.join(step)
    return not thread.is_alive()


class InOrder(set[Any]):
    """A set that is walked through in the order in which it was given its members."""

    def __init__(self, members: Iterable[Any]) -> None:
        self._order = list(dict.fromkeys(members))
        super().__init__(self._order)

    def __iter__(self) -> Iterator[Any]:
        return iter([member for member in self._order if member in self])

    def pop(self) -> Any:
        """Takes the first one out."""
        for member in self:
            self.remove(member)
            return member
        raise KeyError("pop from an empty set")


def ordered(given: Iterable[T], place: Callable[[T], float]) -> list[T]:
    """*given* without repetitions; in its own order, or for a set in that of *place*."""
    members = list(dict.fromkeys(given))
    plain = isinstance(given, (set, frozenset)) and not isinstance(given, InOrder)
    return sorted(members, key=place) if plain else members
