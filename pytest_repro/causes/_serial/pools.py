"""``multiprocessing``: pools that return results in order; threads of a pool that take turns."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pytest_repro.causes._serial.threads import (
    PROCESS_TIMEOUT,
    THREAD_TIMEOUT,
    record_thread_id,
    report_timeout,
    wait_for,
)
from pytest_repro.interpose.patch import Patch, copy_identity
from pytest_repro.interpose.user_frames import caller_frame, classify_frame


class _OrderedFunction:
    """A function whose calls, numbered from 0, run one after another, in any thread.

    A call that has waited too long for the previous one goes ahead: that one may be waiting for it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._condition = threading.Condition()
        self._finished: set[int] = set()

    def __call__(self, item: tuple[int, Any]) -> Any:
        number, argument = item
        with self._condition:
            if not self._condition.wait_for(
                lambda: number == 0 or number - 1 in self._finished, THREAD_TIMEOUT
            ):
                report_timeout(THREAD_TIMEOUT)
        try:
            return self._function(argument)
        finally:
            with self._condition:
                self._finished.add(number)
                self._condition.notify_all()


class _StarFunction:
    """A function of several arguments that takes them as one iterable."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, arguments: Iterable[Any]) -> Any:
        return self._function(*arguments)


def make_patches() -> Iterator[Patch]:
    """Patches for ``multiprocessing``, if it is imported."""
    pools: Any = sys.modules.get("multiprocessing.pool")
    processes: Any = sys.modules.get("multiprocessing.process")
    if processes is not None:
        yield _make_start_patch(processes.BaseProcess)
    if pools is None:
        return
    pool, threads = pools.Pool, pools.ThreadPool
    yield Patch(
        pool,
        "imap_unordered",
        copy_identity(_delegate_to(pool.imap), pool.imap_unordered, pool, "imap_unordered"),
    )
    for kind in (pool, threads):
        waiting = _make_apply_async(pool.apply_async, kind is threads)
        yield Patch(kind, "apply_async", copy_identity(waiting, pool.apply_async, kind, "apply_async"))
    for name, real in (("map", pool.map), ("imap", pool.imap), ("imap_unordered", pool.imap)):
        yield Patch(threads, name, copy_identity(_make_ordered_map(real), real, threads, name))
    spread = _make_ordered_map(pool.map, _StarFunction)
    yield Patch(threads, "starmap", copy_identity(spread, pool.starmap, threads, "starmap"))


def _delegate_to(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: real(*args, **named)


def _make_ordered_map(
    real: Callable[..., Any], wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda f: f
) -> Callable[..., Any]:
    def ordered_map(
        self: Any, func: Callable[..., Any], iterable: Iterable[Any], *rest: Any, **named: Any
    ) -> Any:
        return real(self, _OrderedFunction(wrap(func)), enumerate(iterable), *rest, **named)

    return ordered_map


def _make_apply_async(real: Callable[..., Any], in_threads: bool) -> Callable[..., Any]:
    def apply_async(
        self: Any, func: Any, args: Any = (), kwds: Any = None, callback: Any = None, *rest: Any, **named: Any
    ) -> Any:
        thread: list[int] = []
        called = threading.Event()
        func = record_thread_id(func, thread) if in_threads else func
        signalling = callback and _signal_before(callback, called)
        result = real(self, func, args, kwds or {}, signalling, *rest, **named)
        # A result is ready only after its callback, which may wait for the submitter (joblib's does).
        wait = called.wait if callback else result.wait
        wait_for(lambda step: wait(step) or result.ready(), thread, PROCESS_TIMEOUT)
        return result

    return apply_async


def _signal_before(callback: Callable[[Any], Any], event: threading.Event) -> Callable[[Any], Any]:
    def signal_and_call(value: Any) -> Any:
        event.set()
        return callback(value)

    return signal_and_call


def _make_start_patch(process: Any) -> Patch:
    real = process.start

    def start(self: Any) -> None:
        real(self)
        # Workers of a library wait for work: only join what the user starts.
        if classify_frame(caller_frame(sys._getframe(1))) == "user":
            self.join(PROCESS_TIMEOUT)
            if self.is_alive():
                report_timeout(PROCESS_TIMEOUT)

    return Patch(process, "start", copy_identity(start, real, process, "start"))
