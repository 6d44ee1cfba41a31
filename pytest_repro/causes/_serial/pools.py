"""``multiprocessing``: pools that give results in order, threads of a pool that take turns."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pytest_repro.causes._serial.threads import PATIENCE, PROCESS_PATIENCE, left_alone, telling, wait_for
from pytest_repro.interpose.patch import Swap, renamed
from pytest_repro.interpose.user_frames import asker, owner_of


class _Turns:
    """A function whose calls, numbered from 0, come one after another, in whichever thread.

    A call that has waited too long for the one before goes ahead: it may be what that waits for.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._changed = threading.Condition()
        self._done: set[int] = set()

    def __call__(self, numbered: tuple[int, Any]) -> Any:
        number, argument = numbered
        with self._changed:
            if not self._changed.wait_for(lambda: number == 0 or number - 1 in self._done, PATIENCE):
                left_alone(PATIENCE)
        try:
            return self._function(argument)
        finally:
            with self._changed:
                self._done.add(number)
                self._changed.notify_all()


class _Spread:
    """A function of several arguments that takes them as one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, arguments: Iterable[Any]) -> Any:
        return self._function(*arguments)


def in_turn() -> Iterator[Swap]:
    """What ``multiprocessing`` has, where it is imported."""
    pools: Any = sys.modules.get("multiprocessing.pool")
    processes: Any = sys.modules.get("multiprocessing.process")
    if processes is not None:
        yield _start(processes.BaseProcess)
    if pools is None:
        return
    pool, threads = pools.Pool, pools.ThreadPool
    yield Swap(pool, "imap_unordered", renamed(_as(pool.imap), pool.imap_unordered, pool, "imap_unordered"))
    for kind in (pool, threads):
        waiting = _waiting(pool.apply_async, kind is threads)
        yield Swap(kind, "apply_async", renamed(waiting, pool.apply_async, kind, "apply_async"))
    for name, real in (("map", pool.map), ("imap", pool.imap), ("imap_unordered", pool.imap)):
        yield Swap(threads, name, renamed(_taking_turns(real), real, threads, name))
    spread = _taking_turns(pool.map, _Spread)
    yield Swap(threads, "starmap", renamed(spread, pool.starmap, threads, "starmap"))


def _as(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: real(*args, **named)


def _taking_turns(
    real: Callable[..., Any], shaped: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda f: f
) -> Callable[..., Any]:
    def mapped(self: Any, func: Callable[..., Any], iterable: Iterable[Any], *rest: Any, **named: Any) -> Any:
        return real(self, _Turns(shaped(func)), enumerate(iterable), *rest, **named)

    return mapped


def _waiting(real: Callable[..., Any], in_threads: bool) -> Callable[..., Any]:
    def apply_async(
        self: Any, func: Any, args: Any = (), kwds: Any = None, callback: Any = None, *rest: Any, **named: Any
    ) -> Any:
        thread: list[int] = []
        called = threading.Event()
        func = telling(func, thread) if in_threads else func
        told = callback and _signalling(callback, called)
        result = real(self, func, args, kwds or {}, told, *rest, **named)
        # A result is ready only after its callback, which may wait for whoever submits (joblib's does).
        seen = called.wait if callback else result.wait
        wait_for(lambda step: seen(step) or result.ready(), thread, PROCESS_PATIENCE)
        return result

    return apply_async


def _signalling(callback: Callable[[Any], Any], called: threading.Event) -> Callable[[Any], Any]:
    def signalling(value: Any) -> Any:
        called.set()
        return callback(value)

    return signalling


def _start(process: Any) -> Swap:
    real = process.start

    def start(self: Any) -> None:
        real(self)
        # The workers of a library wait for work: only what the user starts is waited for.
        if owner_of(asker(sys._getframe(1))) == "user":
            self.join(PROCESS_PATIENCE)
            if self.is_alive():
                left_alone(PROCESS_PATIENCE)

    return Swap(process, "start", renamed(start, real, process, "start"))
