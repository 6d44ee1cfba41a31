"""The order in which threads, processes and tasks finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from pytest_repro.causes import Cause, Explanation, WatchedFunction
from pytest_repro.causes._serial import futures, pools, tasks, threads
from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.interpose.patch import Patch, patch_everywhere

_FINISH_ORDER_EFFECT = "gives results in the order in which they finish"
_CONCURRENT_EFFECT = (
    "lets work run beside other work: what both write to comes in the order in which they finish"
)
_CONCURRENT_FIX = "have each task return its result, and gather the results in the order of submission"


def _watch_concurrent(function: str, label: str) -> WatchedFunction:
    return WatchedFunction(function, _CONCURRENT_EFFECT, _CONCURRENT_FIX, label)


class CompletionOrder(Cause):
    """Threads, tasks and processes: suspended, they run one after another, in the order of their start.

    Whoever starts a thread or submits a task waits until it is done. A thread that is itself seen
    waiting for another is not waited for, nor one that takes longer than 5 s (a process: 2 s), so
    that nothing stands still for ever. ``as_completed``, ``wait`` and ``imap_unordered`` give
    results in the order of submission.

    Out of reach: the threads of compiled code, workers that were there before the block (but what
    is submitted to them is in turn), the order in which asyncio's tasks take effect while they run.
    """

    explanation = "an order hangs on which thread, process or task finishes first"
    fix = _CONCURRENT_FIX
    watched_functions: ClassVar[Sequence[WatchedFunction]] = (
        WatchedFunction(
            "concurrent.futures:as_completed",
            _FINISH_ORDER_EFFECT,
            "take executor.map(), or walk through the list of futures itself",
        ),
        WatchedFunction(
            "concurrent.futures:wait",
            "gives sets of futures, which have no order",
            "walk through the list of futures itself",
        ),
        _watch_concurrent(
            "concurrent.futures.thread:ThreadPoolExecutor.submit", "ThreadPoolExecutor.submit()"
        ),
        _watch_concurrent("concurrent.futures.thread:ThreadPoolExecutor.map", "ThreadPoolExecutor.map()"),
        _watch_concurrent(
            "concurrent.futures.process:ProcessPoolExecutor.submit", "ProcessPoolExecutor.submit()"
        ),
        WatchedFunction(
            "multiprocessing.pool:Pool.imap_unordered",
            _FINISH_ORDER_EFFECT,
            "take imap() or map()",
            "Pool.imap_unordered()",
        ),
        _watch_concurrent("multiprocessing.pool:Pool.apply_async", "Pool.apply_async()"),
        *(
            _watch_concurrent(f"multiprocessing.pool:ThreadPool.{name}", f"ThreadPool.{name}()")
            for name in ("map", "imap", "starmap")
        ),
        _watch_concurrent("multiprocessing.process:BaseProcess.start", "Process.start()"),
        _watch_concurrent("threading:Thread.start", "Thread.start()"),
        WatchedFunction(
            "asyncio:as_completed",
            _FINISH_ORDER_EFFECT,
            "take asyncio.gather(), which keeps the order it was given",
        ),
        WatchedFunction(
            "asyncio:wait",
            "gives sets of tasks, which have no order",
            "walk through the list of tasks itself, or take asyncio.gather()",
        ),
        # Tasks take effect while they run, beside each other: that is not held.
        _watch_concurrent("asyncio:gather", "asyncio.gather()")._replace(suspendable=False),
        _watch_concurrent("asyncio:create_task", "asyncio.create_task()")._replace(suspendable=False),
    )

    def explain(self, calls: Sequence[ExternalCall]) -> Explanation:
        # Who lets work run beside other work may still gather it in order: who does not comes first.
        unordered = [
            call
            for call in calls
            if not any(
                r.effect == _CONCURRENT_EFFECT and r.matches(call.display_name)
                for r in self.watched_functions
            )
        ]
        mine = [call for call in unordered if call.cause == self.name]
        return super().explain(mine or calls)

    def suspend(self, seed: int) -> AbstractContextManager[None]:
        return patch_everywhere(_make_patches())


def _make_patches() -> Iterator[Patch]:
    yield from threads.make_patches()
    yield from futures.make_patches()
    yield from pools.make_patches()
    yield from tasks.make_patches()


cause = CompletionOrder()
