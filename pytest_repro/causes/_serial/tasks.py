"""``asyncio``: tasks in the order in which they were made."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any

from pytest_repro.causes._serial.threads import InOrder, left_alone, ordered
from pytest_repro.interpose.patch import Swap, renamed

PATIENCE = 1.0
"""Seconds after which another task may come before the one whose turn it is."""


def in_order() -> Iterator[Swap]:
    """What ``asyncio`` has, where it is imported."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is None:
        return
    wait, real = asyncio.wait, asyncio.as_completed
    yield Swap(asyncio, "wait", renamed(_wait(wait), wait, asyncio, "wait"))

    def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Any:
        return _OneByOne(
            [asyncio.ensure_future(each) for each in ordered(fs, _place)], timeout, asyncio, wait
        )

    yield Swap(asyncio, "as_completed", renamed(as_completed, real, asyncio, "as_completed"))


def _place(task: Any) -> float:
    """The number that asyncio gives each task in its name, in the order in which they are made."""
    named = re.fullmatch(r"Task-(\d+)", task.get_name()) if hasattr(task, "get_name") else None
    return int(named[1]) if named else math.inf


async def _next(left: list[Any], wait: Any, end: float) -> Any:
    """The first of *left*; where it is long in coming, the first one done; None after *end*."""
    patience = max(0.0, min(PATIENCE, end - monotonic()))
    done, _ = await wait(left[:1], timeout=patience)
    if not done:
        left_alone(patience)
        rest = None if end == math.inf else max(0.0, end - monotonic())
        await wait(left, timeout=rest, return_when="FIRST_COMPLETED")
    return next((task for task in left if task.done()), None)


def _wait(real: Any) -> Callable[..., Any]:
    async def wait(
        fs: Iterable[Any], *, timeout: float | None = None, return_when: str = "ALL_COMPLETED"
    ) -> Any:
        members = ordered(fs, _place)
        if return_when == "FIRST_COMPLETED" and members and all(hasattr(each, "done") for each in members):
            first = await _next(members, real, math.inf if timeout is None else monotonic() + timeout)
            return InOrder(m for m in members if m is first), InOrder(m for m in members if m is not first)
        done, pending = await real(members, timeout=timeout, return_when=return_when)
        made = [*ordered(done, _place)], [*ordered(pending, _place)]
        return InOrder(made[0]), InOrder(made[1])

    return wait


class _OneByOne:
    """What ``as_completed`` gives: walked through, awaitables; walked through by ``async for``, tasks."""

    def __init__(self, tasks: list[Any], timeout: float | None, asyncio: Any, wait: Any) -> None:
        self._left, self._wait, self._asyncio = list(tasks), wait, asyncio
        self._asked, self._turn = len(tasks), asyncio.Lock()
        self._end = math.inf if timeout is None else monotonic() + timeout

    def __iter__(self) -> _OneByOne:
        return self

    def __next__(self) -> Any:
        if not self._asked:
            raise StopIteration
        self._asked -= 1
        return self._result()

    async def _result(self) -> Any:
        return (await self._task()).result()

    async def _task(self) -> Any:
        async with self._turn:
            task = await _next(self._left, self._wait, self._end)
            if task is None:
                raise self._asyncio.TimeoutError
            self._left.remove(task)
        return task

    def __aiter__(self) -> _OneByOne:
        return self

    async def __anext__(self) -> Any:
        if not self._left:
            raise StopAsyncIteration
        return await self._task()
