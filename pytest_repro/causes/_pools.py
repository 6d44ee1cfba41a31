"""``multiprocessing``: pools that give results in order, threads of a pool that take turns."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pytest_repro.causes._threads import PATIENCE
from pytest_repro.ledger.places import asker, owner_of
from pytest_repro.ledger.replaced import Swap, renamed

_PROCESS_PATIENCE = 2.0


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
            self._changed.wait_for(lambda: number == 0 or number - 1 in self._done, PATIENCE)
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
    yield Swap(
        pool, "apply_async", renamed(_waiting(pool.apply_async), pool.apply_async, pool, "apply_async")
    )
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


def _waiting(real: Callable[..., Any]) -> Callable[..., Any]:
    def apply_async(*args: Any, **named: Any) -> Any:
        result = real(*args, **named)
        result.wait(_PROCESS_PATIENCE)
        return result

    return apply_async


def _start(process: Any) -> Swap:
    real = process.start

    def start(self: Any) -> None:
        real(self)
        # The workers of a library wait for work: only what the user starts is waited for.
        if owner_of(asker(sys._getframe(1))) == "user":
            self.join(_PROCESS_PATIENCE)

    return Swap(process, "start", renamed(start, real, process, "start"))
