"""Threads that run one after another, and how long one is waited for."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from types import FrameType
from typing import Any, TypeVar

from pytest_repro.causes._not_suspended import report_not_suspended
from pytest_repro.interpose.patch import Patch, copy_identity
from pytest_repro.interpose.user_frames import caller_frame, classify_frame, get_module_name, walk_up

T = TypeVar("T")

COMPLETION_ORDER = "completion-order"

THREAD_TIMEOUT = 5.0
"""Seconds after which a thread is left to itself."""
PROCESS_TIMEOUT = 2.0
"""The same for a process, of which nobody sees whether it waits for another."""
_POLL_INTERVAL, _MAX_WAITING_POLLS = (
    0.01,
    5,
)  # seconds between looks at a thread, and how many find it waiting

# Where a thread is when it waits for another: for a lock, an item, a connection.
_WAIT_PACKAGES = {
    "asyncio",
    "concurrent",
    "multiprocessing",
    "queue",
    "selectors",
    "socketserver",
    "threading",
}


def wait_for(
    poll: Callable[[float], object], thread_ids: Sequence[int | None], timeout: float | None = None
) -> None:
    """Waits until something is done, but not while its thread waits for others.

    Args:
        poll: Waits for some seconds at most; says whether it is done.
        thread_ids: Holds the identifier of the thread that does it, once that is known.
        timeout: Seconds after which it is left to itself; None: as many as for a thread.
    """
    end, waiting = monotonic() + (timeout or THREAD_TIMEOUT), 0
    while not poll(_POLL_INTERVAL):
        waiting = waiting + 1 if any(map(_is_waiting, thread_ids)) else 0
        if waiting == _MAX_WAITING_POLLS:
            report_not_suspended(
                COMPLETION_ORDER,
                "threads wait for each other, so that none can be run to its end before the next",
            )
            return
        if monotonic() >= end:
            report_timeout(timeout or THREAD_TIMEOUT)
            return


def report_timeout(timeout: float) -> None:
    """Says that somebody took longer than *timeout* seconds, and runs on beside the others."""
    report_not_suspended(
        COMPLETION_ORDER,
        f"a thread, process or task takes longer than {timeout:g} s and runs on beside the others",
    )


def _is_waiting(thread_id: int | None) -> bool:
    frame = _get_frame(thread_id) if thread_id is not None else None
    if frame is None or get_module_name(frame).partition(".")[0] not in _WAIT_PACKAGES:
        return frame is not None and frame.f_code.co_name == "accept"
    # What it waits for is no other thread of the program's: a program, or one that it has started.
    return not any(
        f.f_code is wait_for.__code__ or get_module_name(f) == "subprocess" for f in walk_up(frame)
    )


def _get_frame(thread_id: int) -> FrameType | None:
    """Where *thread_id* is now."""
    # Up to Python 3.11 a collection in here hangs for ever: github.com/python/cpython/issues/106883
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(thread_id)
    finally:
        if collects:
            gc.enable()


def record_thread_id(function: Callable[..., Any], thread_ids: list[int]) -> Callable[..., Any]:
    """*function*, which puts down by which thread it is called."""

    def record_and_call(*args: Any, **named: Any) -> Any:
        thread_ids.append(threading.get_ident())
        return function(*args, **named)

    return record_and_call


def make_patches() -> Iterator[Patch]:
    """``Thread.start``, which waits for what it has started."""
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        real(self)
        # Python's own threads wait for work: what is given to them is waited for.
        if classify_frame(caller_frame(sys._getframe(1))) in ("user", "library"):
            wait_for(lambda step: _join(self, step), [self.ident])

    yield Patch(threading.Thread, "start", copy_identity(start, real, threading.Thread, "start"))


def _join(thread: threading.Thread, timeout: float) -> bool:
    thread.join(timeout)
    return not thread.is_alive()


class OrderedSet(set[Any]):
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


def order_unique(iterable: Iterable[T], key: Callable[[T], float]) -> list[T]:
    """*iterable* without repetitions; in its own order, or for a set in that of *key*."""
    members = list(dict.fromkeys(iterable))
    plain = isinstance(iterable, (set, frozenset)) and not isinstance(iterable, OrderedSet)
    return sorted(members, key=key) if plain else members
