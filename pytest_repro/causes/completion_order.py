"""The order in which threads, processes and tasks finish."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import chain

from pytest_repro.causes import Cause, Explanation, WatchedFunction
from pytest_repro.causes._serial.futures import make_asyncio_patches, make_executor_patches
from pytest_repro.causes._serial.threads import make_process_patches, make_thread_patches
from pytest_repro.core.diagnose import ExternalCall
from pytest_repro.interpose.patch import patch_everywhere

_FINISH_ORDER_EFFECT = "returns results in the order in which they finish"
_CONCURRENT_EFFECT = (
    "runs work concurrently: what several tasks write to depends on the order in which they finish"
)
_FUTURES_FIX = "iterate over the list of futures"
_CONCURRENT_FIX = "have each task return its result, and gather the results in the order of submission"


def _watch(module: str, method: str, label: str = "") -> WatchedFunction:
    """An entry for a method that runs work concurrently; *label* if not the name of the method."""
    return WatchedFunction(f"{module}:{method}", _CONCURRENT_EFFECT, _CONCURRENT_FIX, label or f"{method}()")


class CompletionOrder(Cause):
    """Threads, tasks and processes: suspended, they run one after another, in the order of their start.

    The code that starts a thread or submits a task waits until it is done, but not for a thread
    that waits for another one, nor longer than 5 s (for a process: 2 s), so that nothing blocks for
    ever. ``as_completed``, ``wait`` and ``imap_unordered`` return results in the order of submission.

    Not suspended: the threads of compiled code, workers started before the block (except for what
    is submitted to them inside it), the order in which asyncio tasks take effect while they run.
    """

    located_by_line = True
    explanation = "an order depends on which thread, process or task finishes first"
    fix = _CONCURRENT_FIX
    watched_functions = (
        WatchedFunction(
            "concurrent.futures:as_completed", _FINISH_ORDER_EFFECT, f"use executor.map(), or {_FUTURES_FIX}"
        ),
        WatchedFunction(
            "concurrent.futures:wait", "returns sets of futures, which have no order", _FUTURES_FIX
        ),
        _watch("concurrent.futures.thread", "ThreadPoolExecutor.submit"),
        _watch("concurrent.futures.thread", "ThreadPoolExecutor.map"),
        _watch("concurrent.futures.process", "ProcessPoolExecutor.submit"),
        WatchedFunction(
            "multiprocessing.pool:Pool.imap_unordered",
            _FINISH_ORDER_EFFECT,
            "use imap() or map()",
            "Pool.imap_unordered()",
        ),
        _watch("multiprocessing.pool", "Pool.apply_async"),
        *(_watch("multiprocessing.pool", f"ThreadPool.{name}") for name in ("map", "imap", "starmap")),
        _watch("multiprocessing.process", "BaseProcess.start", "Process.start()"),
        _watch("threading", "Thread.start"),
        WatchedFunction(
            "asyncio:as_completed",
            _FINISH_ORDER_EFFECT,
            "use asyncio.gather(), which keeps the order of its arguments",
        ),
        WatchedFunction(
            "asyncio:wait",
            "returns sets of tasks, which have no order",
            "iterate over the list of tasks, or use asyncio.gather()",
        ),
        # Tasks take effect while they run concurrently, which is not suspended.
        _watch("asyncio", "gather", "asyncio.gather()")._replace(suspendable=False),
        _watch("asyncio", "create_task", "asyncio.create_task()")._replace(suspendable=False),
    )

    def explain(self, calls: Sequence[ExternalCall]) -> Explanation:
        # Concurrent work may still be gathered in order, so unordered results come first.
        concurrent = [row for row in self.watched_functions if row.effect == _CONCURRENT_EFFECT]
        own = [call for call in calls if call.cause == self.name]
        unordered = [call for call in own if not any(row.matches(call.display_name) for row in concurrent)]
        return super().explain(unordered or calls)

    def suspend(self, seed: int, variant: str = "") -> AbstractContextManager[None]:
        threads = chain(make_thread_patches(), make_process_patches())
        return patch_everywhere(chain(threads, make_executor_patches(), make_asyncio_patches()))


cause = CompletionOrder()
