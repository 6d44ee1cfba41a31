"""Executors that run one task at a time; futures in the order of submission."""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from time import monotonic
from typing import Any

from pytest_repro.causes._serial.threads import (
    PROCESS_TIMEOUT,
    THREAD_TIMEOUT,
    OrderedSet,
    order_unique,
    record_thread_id,
    report_timeout,
    wait_for,
)
from pytest_repro.interpose.patch import Patch, copy_identity


class _SubmissionOrder:
    """The futures of one block, numbered."""

    def __init__(self) -> None:
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._counter = count()

    def add(self, future: Any) -> None:
        self._numbers[future] = next(self._counter)

    def get_number(self, future: Any) -> float:
        return self._numbers.get(future, math.inf)


def make_patches() -> Iterator[Patch]:
    """Patches for ``concurrent.futures``, if it is imported."""
    futures: Any = sys.modules.get("concurrent.futures")
    if futures is None:
        return
    submitted = _SubmissionOrder()
    # Reading the attribute imports the executors now rather than inside the block.
    yield _make_submit_patch(futures.ThreadPoolExecutor, submitted, futures.wait, _run_in_thread)
    yield _make_submit_patch(futures.ProcessPoolExecutor, submitted, futures.wait, _run_in_process)
    replacements = {
        "as_completed": _make_as_completed(submitted, futures),
        "wait": _make_wait(submitted, futures.wait),
    }
    for name, replacement in replacements.items():
        yield Patch(futures, name, copy_identity(replacement, getattr(futures, name), futures, name))


def _make_submit_patch(
    executor: Any, submission_order: _SubmissionOrder, wait: Any, start: Callable[..., Any]
) -> Patch:
    real = executor.submit

    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        future = start(wait, lambda fn: real(self, fn, *args, **named), fn)
        submission_order.add(future)
        return future

    return Patch(executor, "submit", copy_identity(submit, real, executor, "submit"))


def _run_in_thread(wait: Any, submit: Callable[[Callable[..., Any]], Any], fn: Callable[..., Any]) -> Any:
    thread: list[int] = []
    future = submit(record_thread_id(fn, thread))
    wait_for(lambda step: wait([future], step).done, thread)
    return future


def _run_in_process(wait: Any, submit: Callable[[Callable[..., Any]], Any], fn: Callable[..., Any]) -> Any:
    future = submit(fn)
    if not wait([future], PROCESS_TIMEOUT).done:
        report_timeout(PROCESS_TIMEOUT)
    return future


def _make_as_completed(submission_order: _SubmissionOrder, futures: Any) -> Callable[..., Iterator[Any]]:
    wait = futures.wait

    def as_completed(fs: Iterable[Any], timeout: float | None = None) -> Iterator[Any]:
        pending = order_unique(fs, submission_order.get_number)
        total, deadline = len(pending), math.inf if timeout is None else monotonic() + timeout
        while pending:
            future = _wait_next(pending, wait, deadline)
            if future is None:
                raise futures.TimeoutError(f"{len(pending)} (of {total}) futures unfinished")
            pending.remove(future)
            yield future

    return as_completed


def _wait_next(pending: list[Any], wait: Any, deadline: float) -> Any:
    """The first of *pending*, or the first one done if that takes too long; None after *deadline*."""
    patience = max(0.0, min(THREAD_TIMEOUT, deadline - monotonic()))
    if not wait(pending[:1], patience).done:
        report_timeout(patience)
        wait(pending, None if deadline == math.inf else max(0.0, deadline - monotonic()), "FIRST_COMPLETED")
    return next((future for future in pending if future.done()), None)


def _make_wait(submission_order: _SubmissionOrder, real: Any) -> Callable[..., Any]:
    def wait(fs: Iterable[Any], timeout: float | None = None, return_when: str = "ALL_COMPLETED") -> Any:
        members = order_unique(fs, submission_order.get_number)
        result = real(members, timeout, return_when)
        return type(result)(*(OrderedSet(m for m in members if m in part) for part in result))

    return wait
