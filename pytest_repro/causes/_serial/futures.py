"""Executors and ``asyncio``: tasks that run one at a time, and futures in the order of submission."""

from __future__ import annotations

import math
import re
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import count
from time import monotonic
from typing import Any, TypeVar

from pytest_repro.causes._serial.threads import (
    PROCESS_TIMEOUT,
    THREAD_TIMEOUT,
    record_thread_id,
    report_timeout,
    wait_for,
)
from pytest_repro.interpose.patch import Patch, make_patch

T = TypeVar("T")

TASK_TIMEOUT = 1.0  # seconds after which a finished task may come before the one whose turn it is


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


def _make_deadline(timeout: float | None) -> float:
    return math.inf if timeout is None else monotonic() + timeout


def _get_remaining(deadline: float) -> float | None:
    """Seconds until *deadline*; None for ever."""
    return None if deadline == math.inf else max(0.0, deadline - monotonic())


def make_executor_patches() -> Iterator[Patch]:
    """Patches for ``concurrent.futures``, if it is imported."""
    futures: Any = sys.modules.get("concurrent.futures")
    if futures is None:
        return
    real_wait, numbers, counter = futures.wait, weakref.WeakKeyDictionary[Any, int](), count()

    def get_number(future: Any) -> float:
        return numbers.get(future, math.inf)

    def make_submit_patch(executor: Any, in_threads: bool) -> Patch:
        real = executor.submit

        def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
            thread: list[int] = []
            future = real(self, record_thread_id(fn, thread) if in_threads else fn, *args, **named)
            if in_threads:
                wait_for(lambda step: real_wait([future], step).done, thread)
            elif not real_wait([future], PROCESS_TIMEOUT).done:
                report_timeout(PROCESS_TIMEOUT)
            numbers[future] = next(counter)
            return future

        return make_patch(executor, "submit", submit)

    def as_completed(fs: Iterable[Any], timeout: float | None = None) -> Iterator[Any]:
        pending = order_unique(fs, get_number)
        total, deadline = len(pending), _make_deadline(timeout)
        while pending:
            future = _wait_for_next_future(pending, real_wait, deadline)
            if future is None:
                raise futures.TimeoutError(f"{len(pending)} (of {total}) futures unfinished")
            pending.remove(future)
            yield future

    def wait(fs: Iterable[Any], timeout: float | None = None, return_when: str = "ALL_COMPLETED") -> Any:
        members = order_unique(fs, get_number)
        result = real_wait(members, timeout, return_when)
        return type(result)(*(OrderedSet(m for m in members if m in part) for part in result))

    # Reading the attribute imports the executors now rather than inside the block.
    yield make_submit_patch(futures.ThreadPoolExecutor, True)
    yield make_submit_patch(futures.ProcessPoolExecutor, False)
    yield make_patch(futures, "as_completed", as_completed)
    yield make_patch(futures, "wait", wait)


def _wait_for_next_future(pending: list[Any], wait: Any, deadline: float) -> Any:
    """The first of *pending*, or the first one done if that takes too long; None after *deadline*."""
    patience = max(0.0, min(THREAD_TIMEOUT, deadline - monotonic()))
    if not wait(pending[:1], patience).done:
        report_timeout(patience)
        wait(pending, _get_remaining(deadline), "FIRST_COMPLETED")
    return next((future for future in pending if future.done()), None)


def make_asyncio_patches() -> Iterator[Patch]:
    """Patches for ``asyncio``, if it is imported: tasks in the order of their creation."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is None:
        return
    real_wait = asyncio.wait

    async def wait(
        fs: Iterable[Any], *, timeout: float | None = None, return_when: str = "ALL_COMPLETED"
    ) -> Any:
        members = order_unique(fs, _get_task_number)
        if return_when == "FIRST_COMPLETED" and members and all(hasattr(each, "done") for each in members):
            first = await _wait_for_next_task(members, real_wait, _make_deadline(timeout))
            rest = OrderedSet(m for m in members if m is not first)
            return OrderedSet(m for m in members if m is first), rest
        parts = await real_wait(members, timeout=timeout, return_when=return_when)
        return tuple(OrderedSet(order_unique(part, _get_task_number)) for part in parts)

    def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Any:
        tasks = [asyncio.ensure_future(each) for each in order_unique(fs, _get_task_number)]
        return _AsCompletedIterator(tasks, timeout, asyncio, real_wait)

    yield make_patch(asyncio, "wait", wait)
    yield make_patch(asyncio, "as_completed", as_completed)


def _get_task_number(task: Any) -> float:
    """The number in the default name of a task, which counts them in order of creation."""
    match = re.fullmatch(r"Task-(\d+)", task.get_name()) if hasattr(task, "get_name") else None
    return int(match[1]) if match else math.inf


async def _wait_for_next_task(pending: list[Any], wait: Any, deadline: float) -> Any:
    """As :func:`_wait_for_next_future`, for tasks of asyncio."""
    patience = max(0.0, min(TASK_TIMEOUT, deadline - monotonic()))
    done, _ = await wait(pending[:1], timeout=patience)
    if not done:
        report_timeout(patience)
        await wait(pending, timeout=_get_remaining(deadline), return_when="FIRST_COMPLETED")
    return next((task for task in pending if task.done()), None)


class _AsCompletedIterator(Iterator[Any], AsyncIterator[Any]):
    """What ``as_completed`` returns: ``for`` iterates over awaitables, ``async for`` over tasks."""

    def __init__(self, tasks: list[Any], timeout: float | None, asyncio: Any, wait: Any) -> None:
        self._pending, self._wait, self._asyncio = tasks, wait, asyncio
        self._remaining, self._lock = len(tasks), asyncio.Lock()
        self._deadline = _make_deadline(timeout)

    def __next__(self) -> Any:
        if not self._remaining:
            raise StopIteration
        self._remaining -= 1
        return self._get_next_result()

    async def _get_next_result(self) -> Any:
        return (await self._get_next_task()).result()

    async def _get_next_task(self) -> Any:
        async with self._lock:
            task = await _wait_for_next_task(self._pending, self._wait, self._deadline)
            if task is None:
                raise self._asyncio.TimeoutError
            self._pending.remove(task)
        return task

    async def __anext__(self) -> Any:
        if not self._pending:
            raise StopAsyncIteration
        return await self._get_next_task()
