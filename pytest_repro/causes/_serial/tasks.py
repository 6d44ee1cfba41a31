"""``asyncio``: tasks in the order of their creation."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any

from pytest_repro.causes._serial.threads import OrderedSet, order_unique, report_timeout
from pytest_repro.interpose.patch import Patch, copy_identity

TASK_TIMEOUT = 1.0
"""Seconds after which a finished task may come before the one whose turn it is."""


def make_patches() -> Iterator[Patch]:
    """Patches for ``asyncio``, if it is imported."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is None:
        return
    wait, real = asyncio.wait, asyncio.as_completed
    yield Patch(asyncio, "wait", copy_identity(_make_wait(wait), wait, asyncio, "wait"))

    def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Any:
        tasks = [asyncio.ensure_future(each) for each in order_unique(fs, _get_task_number)]
        return _AsCompletedIterator(tasks, timeout, asyncio, wait)

    yield Patch(asyncio, "as_completed", copy_identity(as_completed, real, asyncio, "as_completed"))


def _get_task_number(task: Any) -> float:
    """The number in the default name of a task, which counts them in order of creation."""
    match = re.fullmatch(r"Task-(\d+)", task.get_name()) if hasattr(task, "get_name") else None
    return int(match[1]) if match else math.inf


async def _wait_next(pending: list[Any], wait: Any, deadline: float) -> Any:
    """The first of *pending*, or the first one done if that takes too long; None after *deadline*."""
    patience = max(0.0, min(TASK_TIMEOUT, deadline - monotonic()))
    done, _ = await wait(pending[:1], timeout=patience)
    if not done:
        report_timeout(patience)
        rest = None if deadline == math.inf else max(0.0, deadline - monotonic())
        await wait(pending, timeout=rest, return_when="FIRST_COMPLETED")
    return next((task for task in pending if task.done()), None)


def _make_wait(real: Any) -> Callable[..., Any]:
    async def wait(
        fs: Iterable[Any], *, timeout: float | None = None, return_when: str = "ALL_COMPLETED"
    ) -> Any:
        members = order_unique(fs, _get_task_number)
        if return_when == "FIRST_COMPLETED" and members and all(hasattr(each, "done") for each in members):
            first = await _wait_next(members, real, math.inf if timeout is None else monotonic() + timeout)
            rest = OrderedSet(m for m in members if m is not first)
            return OrderedSet(m for m in members if m is first), rest
        parts = await real(members, timeout=timeout, return_when=return_when)
        return tuple(OrderedSet(order_unique(part, _get_task_number)) for part in parts)

    return wait


class _AsCompletedIterator:
    """What ``as_completed`` returns: ``for`` iterates over awaitables, ``async for`` over tasks."""

    def __init__(self, tasks: list[Any], timeout: float | None, asyncio: Any, wait: Any) -> None:
        self._pending, self._wait, self._asyncio = list(tasks), wait, asyncio
        self._remaining, self._lock = len(tasks), asyncio.Lock()
        self._deadline = math.inf if timeout is None else monotonic() + timeout

    def __iter__(self) -> _AsCompletedIterator:
        return self

    def __next__(self) -> Any:
        if not self._remaining:
            raise StopIteration
        self._remaining -= 1
        return self._get_next_result()

    async def _get_next_result(self) -> Any:
        return (await self._get_next_task()).result()

    async def _get_next_task(self) -> Any:
        async with self._lock:
            task = await _wait_next(self._pending, self._wait, self._deadline)
            if task is None:
                raise self._asyncio.TimeoutError
            self._pending.remove(task)
        return task

    def __aiter__(self) -> _AsCompletedIterator:
        return self

    async def __anext__(self) -> Any:
        if not self._pending:
            raise StopAsyncIteration
        return await self._get_next_task()
