"""Executors that run one task at a time, and futures in the order of submission."""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from time import monotonic
from typing import Any

from pytest_repro.causes._serial.threads import (
    PATIENCE,
    PROCESS_PATIENCE,
    InOrder,
    left_alone,
    ordered,
    telling,
    wait_for,
)
from pytest_repro.interpose.patch import Swap, renamed


class _Submitted:
    """The futures of one block, numbered."""

    def __init__(self) -> None:
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._fresh = count()

    def add(self, future: Any) -> None:
        self._numbers[future] = next(self._fresh)

    def place(self, future: Any) -> float:
        return self._numbers.get(future, math.inf)


def in_order() -> Iterator[Swap]:
    """What ``concurrent.futures`` has, where it is imported."""
    futures: Any = sys.modules.get("concurrent.futures")
    if futures is None:
        return
    submitted = _Submitted()
    # Asked for, the executors are imported; else that would be inside the block.
    yield _submit(futures.ThreadPoolExecutor, submitted, futures.wait, _in_thread)
    yield _submit(futures.ProcessPoolExecutor, submitted, futures.wait, _in_process)
    as_completed = _as_completed(submitted, futures)
    yield Swap(futures, "as_completed", renamed(as_completed, futures.as_completed, futures, "as_completed"))
    yield Swap(futures, "wait", renamed(_wait(submitted, futures.wait), futures.wait, futures, "wait"))


def _submit(executor: Any, submitted: _Submitted, wait: Any, start: Callable[..., Any]) -> Swap:
    real = executor.submit

    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        future = start(wait, lambda fn: real(self, fn, *args, **named), fn)
        submitted.add(future)
        return future

    return Swap(executor, "submit", renamed(submit, real, executor, "submit"))


def _in_thread(wait: Any, submit: Callable[[Callable[..., Any]], Any], fn: Callable[..., Any]) -> Any:
    thread: list[int] = []
    future = submit(telling(fn, thread))
    wait_for(lambda step: wait([future], step).done, thread)
    return future


def _in_process(wait: Any, submit: Callable[[Callable[..., Any]], Any], fn: Callable[..., Any]) -> Any:
    future = submit(fn)
    if not wait([future], PROCESS_PATIENCE).done:
        left_alone(PROCESS_PATIENCE)
    return future


def _as_completed(submitted: _Submitted, futures: Any) -> Callable[..., Iterator[Any]]:
    wait = futures.wait

    def as_completed(fs: Iterable[Any], timeout: float | None = None) -> Iterator[Any]:
        left = ordered(fs, submitted.place)
        total, end = len(left), math.inf if timeout is None else monotonic() + timeout
        while left:
            found = _next(left, wait, end)
            if found is None:
                raise futures.TimeoutError(f"{len(left)} (of {total}) futures unfinished")
            left.remove(found)
            yield found

    return as_completed


def _next(left: list[Any], wait: Any, end: float) -> Any:
    """The first of *left*; where it is long in coming, the first one done; None after *end*."""
    patience = max(0.0, min(PATIENCE, end - monotonic()))
    if not wait(left[:1], patience).done:
        left_alone(patience)
        wait(left, None if end == math.inf else max(0.0, end - monotonic()), "FIRST_COMPLETED")
    return next((future for future in left if future.done()), None)


def _wait(submitted: _Submitted, real: Any) -> Callable[..., Any]:
    def wait(fs: Iterable[Any], timeout: float | None = None, return_when: str = "ALL_COMPLETED") -> Any:
        members = ordered(fs, submitted.place)
        found = real(members, timeout, return_when)
        return type(found)(*(InOrder(m for m in members if m in part) for part in found))

    return wait
