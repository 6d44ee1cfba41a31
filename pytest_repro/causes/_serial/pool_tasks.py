"""Tasks of process pools: each draws the same, whichever worker happens to run it."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from pytest_repro.interpose.patch import Patch, make_patch, patch_everywhere

_getpid = os.getpid  # kept before a block replaces it
_active: list[tuple[int, int, Sequence[random.Random]]] = []
"""Process, seed and generators of each block of :func:`seeded_tasks`."""


class SeededTask:
    """Calls *function* after the generators of a forked worker were seeded by the *number* of the task."""

    def __init__(self, function: Callable[..., Any], number: str) -> None:
        self.function, self.number = function, number

    def __call__(self, *args: Any, **named: Any) -> Any:
        for owner, seed, sources in _active:
            if _getpid() != owner:
                for source in sources:
                    source.seed(f"{seed} {self.number}")
        return self.function(*args, **named)


@contextmanager
def seeded_tasks(seed: int, sources: Sequence[random.Random]) -> Iterator[None]:
    """In the block, *sources*, from which suspended entropy comes, begin again with each task of a pool."""
    _active.append((_getpid(), seed, sources))
    try:
        with patch_everywhere(_make_patches()):
            yield
    finally:
        _active.pop()


def _make_patches() -> Iterator[Patch]:
    numbers = count()
    executors: Any = sys.modules.get("concurrent.futures.process")
    if executors is not None:
        submit = executors.ProcessPoolExecutor.submit

        def submit_seeded(self: Any, fn: Any, /, *args: Any, **named: Any) -> Any:
            return submit(self, SeededTask(fn, str(next(numbers))), *args, **named)

        yield make_patch(executors.ProcessPoolExecutor, "submit", submit_seeded)
    pools: Any = sys.modules.get("multiprocessing.pool")
    if hasattr(pools, "Pool") and hasattr(pools.Pool, "_guarded_task_generation"):  # private, of all its maps
        apply_async, generate = pools.Pool.apply_async, pools.Pool._guarded_task_generation

        def apply_seeded(self: Any, func: Any, *args: Any, **named: Any) -> Any:
            return apply_async(self, SeededTask(func, str(next(numbers))), *args, **named)

        def generate_seeded(self: Any, *args: Any) -> Any:
            number = next(numbers)
            for job, index, func, *rest in generate(self, *args):
                yield (job, index, SeededTask(func, f"{number} {index}"), *rest)

        yield make_patch(pools.Pool, "apply_async", apply_seeded)
        yield make_patch(pools.Pool, "_guarded_task_generation", generate_seeded)
