"""Threads that run one after another, and how long to wait for one."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from types import FrameType
from typing import Any, TypeVar

from pytest_repro.causes._suspension import report_not_suspended
from pytest_repro.interpose.patch import Patch, copy_identity
from pytest_repro.interpose.user_frames import caller_frame, classify_frame, get_module_name, walk_up

T = TypeVar("T")

COMPLETION_ORDER = "completion-order"

THREAD_TIMEOUT = 5.0
"""Seconds to wait for a thread."""
PROCESS_TIMEOUT = 2.0
"""Seconds to wait for a process: whether it waits for another one cannot be seen."""
_POLL_INTERVAL = 0.01
_MAX_WAITING_POLLS = 5
"""Seconds between polls of a thread; consecutive polls that must find it waiting."""

# Where a thread is while it waits for another: for a lock, an item, a connection.
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
    """Waits until something is done, unless its thread waits for others.

    Args:
        poll: Waits for at most that many seconds; returns whether it is done.
        thread_ids: The identifier of the thread that does it, once known.
        timeout: Seconds to wait; None for :data:`THREAD_TIMEOUT`.
    """
    deadline, waiting = monotonic() + (timeout or THREAD_TIMEOUT), 0
    while not poll(_POLL_INTERVAL):
        waiting = waiting + 1 if any(map(_is_waiting, thread_ids)) else 0
        if waiting == _MAX_WAITING_POLLS:
            report_not_suspended(
                COMPLETION_ORDER,
                "threads wait for each other, so none can finish before the next starts",
            )
            return
        if monotonic() >= deadline:
            report_timeout(timeout or THREAD_TIMEOUT)
            return


def report_timeout(timeout: float) -> None:
    """Reports that something took longer than *timeout* seconds and now runs concurrently."""
    report_not_suspended(
        COMPLETION_ORDER,
        f"a thread, process or task takes longer than {timeout:g} s and runs concurrently with others",
    )


def _is_waiting(thread_id: int | None) -> bool:
    frame = _get_frame(thread_id) if thread_id is not None else None
    if frame is None or get_module_name(frame).partition(".")[0] not in _WAIT_PACKAGES:
        return frame is not None and frame.f_code.co_name == "accept"
    # Waiting for a subprocess, or for a thread that it started itself, is no waiting for others.
    return not any(
        f.f_code is wait_for.__code__ or get_module_name(f) == "subprocess" for f in walk_up(frame)
    )


def _get_frame(thread_id: int) -> FrameType | None:
    # Up to Python 3.11 a garbage collection in here hangs: github.com/python/cpython/issues/106883
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(thread_id)
    finally:
        if was_enabled:
            gc.enable()


def record_thread_id(function: Callable[..., Any], thread_ids: list[int]) -> Callable[..., Any]:
    """*function*, which appends the identifier of its thread to *thread_ids*."""

    def record_and_call(*args: Any, **named: Any) -> Any:
        thread_ids.append(threading.get_ident())
        return function(*args, **named)

    return record_and_call


def make_patches() -> Iterator[Patch]:
    """A patch of ``Thread.start`` that waits for the started thread."""
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        real(self)
        # Threads of the standard library wait for work: the submission of work waits for it instead.
        if classify_frame(caller_frame(sys._getframe(1))) in ("user", "library"):
            wait_for(lambda step: _join(self, step), [self.ident])

    yield Patch(threading.Thread, "start", copy_identity(start, real, threading.Thread, "start"))


def _join(thread: threading.Thread, timeout: float) -> bool:
    thread.join(timeout)
    return not thread.is_alive()


class OrderedSet(set[Any]):
    """A set that iterates in the order of *members*."""

    def __init__(self, members: Iterable[Any]) -> None:
        self._order = list(dict.fromkeys(members))
        super().__init__(self._order)

    def __iter__(self) -> Iterator[Any]:
        return iter([member for member in self._order if member in self])

    def pop(self) -> Any:
        """Removes and returns the first member."""
        for member in self:
            self.remove(member)
            return member
        raise KeyError("pop from an empty set")


def order_unique(iterable: Iterable[T], key: Callable[[T], float]) -> list[T]:
    """*iterable* without duplicates, in its own order, or sorted by *key* if it is an unordered set."""
    members = list(dict.fromkeys(iterable))
    unordered = isinstance(iterable, (set, frozenset)) and not isinstance(iterable, OrderedSet)
    return sorted(members, key=key) if unordered else members
