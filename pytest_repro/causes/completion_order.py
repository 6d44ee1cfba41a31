"""The order in which threads, processes and tasks finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from pytest_repro.causes import Cause, Explanation, Row
from pytest_repro.causes._serial import futures, pools, tasks, threads
from pytest_repro.core.diagnose.external_call import Call
from pytest_repro.interpose.patch import Swap, replaced_everywhere

_FINISHED = "gives results in the order in which they finish"
_BESIDE = "lets work run beside other work: what both write to comes in the order in which they finish"
_RESULTS = "have each task return its result, and gather the results in the order of submission"


def _beside(where: str, what: str) -> Row:
    return Row(where, _BESIDE, _RESULTS, what)


class CompletionOrder(Cause):
    """Threads, tasks and processes: suspended, they run one after another, in the order of their start.

    Whoever starts a thread or submits a task waits until it is done. A thread that is itself seen
    waiting for another is not waited for, nor one that takes longer than 5 s (a process: 2 s), so
    that nothing stands still for ever. ``as_completed``, ``wait`` and ``imap_unordered`` give
    results in the order of submission.

    Out of reach: the threads of compiled code, workers that were there before the block (but what
    is submitted to them is in turn), the order in which asyncio's tasks take effect while they run.
    """

    says = "an order hangs on which thread, process or task finishes first"
    fix = _RESULTS
    rows: ClassVar[Sequence[Row]] = (
        Row("concurrent.futures:as_completed", _FINISHED,
            "take executor.map(), or walk through the list of futures itself"),
        Row("concurrent.futures:wait", "gives sets of futures, which have no order",
            "walk through the list of futures itself"),
        _beside("concurrent.futures.thread:ThreadPoolExecutor.submit", "ThreadPoolExecutor.submit()"),
        _beside("concurrent.futures.thread:ThreadPoolExecutor.map", "ThreadPoolExecutor.map()"),
        _beside("concurrent.futures.process:ProcessPoolExecutor.submit", "ProcessPoolExecutor.submit()"),
        Row("multiprocessing.pool:Pool.imap_unordered", _FINISHED, "take imap() or map()",
            "Pool.imap_unordered()"),
        _beside("multiprocessing.pool:Pool.apply_async", "Pool.apply_async()"),
        *(_beside(f"multiprocessing.pool:ThreadPool.{name}", f"ThreadPool.{name}()")
          for name in ("map", "imap", "starmap")),
        _beside("multiprocessing.process:BaseProcess.start", "Process.start()"),
        _beside("threading:Thread.start", "Thread.start()"),
        Row("asyncio:as_completed", _FINISHED, "take asyncio.gather(), which keeps the order it was given"),
        Row("asyncio:wait", "gives sets of tasks, which have no order",
            "walk through the list of tasks itself, or take asyncio.gather()"),
        # Tasks take effect while they run, beside each other: that is not held.
        _beside("asyncio:gather", "asyncio.gather()")._replace(held=False),
        _beside("asyncio:create_task", "asyncio.create_task()")._replace(held=False),
    )  # fmt: skip

    def explained(self, calls: Sequence[Call]) -> Explanation:
        # Who lets work run beside other work may still gather it in order: who does not comes first.
        unordered = [
            call for call in calls if not any(r.says == _BESIDE and r.tells(call.what) for r in self.rows)
        ]
        mine = [call for call in unordered if call.cause == self.name]
        return super().explained(mine or calls)

    def suspended(self, seed: int) -> AbstractContextManager[None]:
        return replaced_everywhere(_swaps())


def _swaps() -> Iterator[Swap]:
    yield from threads.in_turn()
    yield from futures.in_order()
    yield from pools.in_turn()
    yield from tasks.in_order()


cause = CompletionOrder()
