"""Threads and processes that run one after another, and how long to wait for one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import Any

from pytest_repro.causes import report_not_suspended
from pytest_repro.interpose.patch import Patch, make_patch
from pytest_repro.interpose.user_frames import (
    caller_frame,
    classify_frame,
    get_module_name,
    read_thread_frames,
    walk_up,
)

THREAD_TIMEOUT = 5.0  # seconds to wait for a thread
PROCESS_TIMEOUT = 2.0  # for a process: whether it waits for another one cannot be seen
_POLL_INTERVAL = 0.01  # seconds between polls of a thread
_MAX_WAITING_POLLS = 5  # consecutive polls that must find it waiting

# Where a thread is while it waits for another: for a lock, an item, a connection.
_WAIT_PACKAGES = {
    "asyncio", "concurrent", "multiprocessing", "queue", "selectors", "socketserver", "threading",
}  # fmt: skip


def report_timeout(timeout: float) -> None:
    """Reports that something took longer than *timeout* seconds and now runs concurrently."""
    reason = f"a thread, process or task takes longer than {timeout:g} s and runs concurrently with others"
    report_not_suspended("completion-order", reason)


def wait_for(
    poll: Callable[[float], object], thread_ids: Sequence[int | None], timeout: float | None = None
) -> None:
    """Waits until something is done, unless its thread waits for others.

    Args:
        poll: Waits for at most that many seconds; returns whether it is done.
        thread_ids: The identifier of the thread that does it, once known.
        timeout: Seconds to wait; None for :data:`THREAD_TIMEOUT`.
    """
    limit, waiting = timeout or THREAD_TIMEOUT, 0
    deadline = monotonic() + limit
    while not poll(_POLL_INTERVAL):
        waiting = waiting + 1 if any(map(_is_waiting, thread_ids)) else 0
        if waiting == _MAX_WAITING_POLLS:
            reason = "threads wait for each other, so none can finish before the next starts"
            report_not_suspended("completion-order", reason)
            return
        if monotonic() >= deadline:
            report_timeout(limit)
            return


def _is_waiting(thread_id: int | None) -> bool:
    frame = read_thread_frames().get(thread_id) if thread_id is not None else None
    if frame is None or get_module_name(frame).partition(".")[0] not in _WAIT_PACKAGES:
        return frame is not None and frame.f_code.co_name == "accept"
    # Waiting for a subprocess, or for a thread that it started itself, is no waiting for others.
    own = wait_for.__code__
    return not any(f.f_code is own or get_module_name(f) == "subprocess" for f in walk_up(frame))


def record_thread_id(function: Callable[..., Any], thread_ids: list[int]) -> Callable[..., Any]:
    """*function*, which appends the identifier of its thread to *thread_ids*."""

    def record_and_call(*args: Any, **named: Any) -> Any:
        thread_ids.append(threading.get_ident())
        return function(*args, **named)

    return record_and_call


def make_thread_patches() -> Iterator[Patch]:
    """A patch of ``Thread.start`` that waits for the started thread."""
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        def has_ended(timeout: float) -> bool:
            self.join(timeout)
            return not self.is_alive()

        real(self)
        # Threads of the standard library wait for work: the submission of work waits for it instead.
        if classify_frame(caller_frame(sys._getframe(1))) in ("user", "library"):
            wait_for(has_ended, [self.ident])

    yield make_patch(threading.Thread, "start", start)


def make_process_patches() -> Iterator[Patch]:
    """Patches for ``multiprocessing``, if it is imported."""
    pools: Any = sys.modules.get("multiprocessing.pool")
    processes: Any = sys.modules.get("multiprocessing.process")
    if processes is not None:
        yield make_patch(processes.BaseProcess, "start", _make_start(processes.BaseProcess.start))
    if pools is None:
        return
    pool, threads = pools.Pool, pools.ThreadPool
    imap = pool.imap
    yield make_patch(pool, "imap_unordered", lambda *args, **named: imap(*args, **named))
    for kind in (pool, threads):
        yield make_patch(kind, "apply_async", _make_apply_async(pool.apply_async, kind is threads))
    for name, real in (("map", pool.map), ("imap", imap), ("imap_unordered", imap)):
        yield make_patch(threads, name, _make_ordered_map(real))
    yield make_patch(threads, "starmap", _make_ordered_map(pool.map, star=True))


def _make_start(real: Callable[[Any], None]) -> Callable[[Any], None]:
    def start(self: Any) -> None:
        real(self)
        # Workers of a library wait for work: only join what the user starts.
        if classify_frame(caller_frame(sys._getframe(1))) == "user":
            self.join(PROCESS_TIMEOUT)
            if self.is_alive():
                report_timeout(PROCESS_TIMEOUT)

    return start


def _make_apply_async(real: Callable[..., Any], in_threads: bool) -> Callable[..., Any]:
    def apply_async(
        self: Any, func: Any, args: Any = (), kwds: Any = None, callback: Any = None, *rest: Any, **named: Any
    ) -> Any:
        thread: list[int] = []
        called = threading.Event()

        def signal_and_call(value: Any) -> Any:
            called.set()
            return callback(value)

        func = record_thread_id(func, thread) if in_threads else func
        result = real(self, func, args, kwds or {}, callback and signal_and_call, *rest, **named)
        # A result is ready only after its callback, which may wait for the submitter (joblib's does).
        wait = called.wait if callback else result.wait
        wait_for(lambda step: wait(step) or result.ready(), thread, PROCESS_TIMEOUT)
        return result

    return apply_async


def _make_ordered_map(real: Callable[..., Any], star: bool = False) -> Callable[..., Any]:
    def ordered_map(self: Any, func: Any, iterable: Iterable[Any], *rest: Any, **named: Any) -> Any:
        function = (lambda arguments: func(*arguments)) if star else func
        return real(self, _order_calls(function), enumerate(iterable), *rest, **named)

    return ordered_map


def _order_calls(function: Callable[[Any], Any]) -> Callable[[tuple[int, Any]], Any]:
    """*function*, whose calls, numbered from 0, run one after another, in any thread.

    A call that has waited too long for the previous one goes ahead: that one may be waiting for it.
    """
    condition, finished = threading.Condition(), {-1}

    def call_in_order(item: tuple[int, Any]) -> Any:
        number, argument = item
        with condition:
            if not condition.wait_for(lambda: number - 1 in finished, THREAD_TIMEOUT):
                report_timeout(THREAD_TIMEOUT)
        try:
            return function(argument)
        finally:
            with condition:
                finished.add(number)
                condition.notify_all()

    return call_in_order
