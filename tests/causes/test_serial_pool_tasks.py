"""With entropy suspended, a task draws the same whichever worker of a pool runs it."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

from pytest_repro.causes import get_cause
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE

pytestmark = pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")


def draw(number: int, slow: int) -> tuple[int, float, str]:
    """Draws twice; every other task takes longer, so that workers take turns in another way."""
    time.sleep(0.03 * (number % 2 == slow))
    return number, random.Random().random(), uuid.uuid4().hex


def in_pool(slow: int) -> list[Any]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        mapped = pool.starmap(draw, [(number, slow) for number in range(6)], chunksize=1)
        return [*mapped, pool.apply_async(draw, (6, slow)).get(), pool.apply(draw, (7, slow))]


def in_executor(slow: int) -> list[Any]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as executor:
        return [*executor.map(draw, range(6), [slow] * 6)]


@pytest.mark.parametrize("run", [in_pool, in_executor])
def test_tasks_draw_by_their_number(run: Callable[[int], list[Any]]) -> None:
    found = []
    for slow in (0, 1):
        with get_cause("os-entropy").suspend(0):
            found.append(run(slow))
    assert found[0] == found[1]
    assert len({number for _, number, _ in found[0]}) == len(found[0])
    assert run(0) != found[0]


def test_tasks_in_threads_of_this_process_do_not_begin_again() -> None:
    with get_cause("os-entropy").suspend(0), ThreadPool(1) as pool:
        drawn = pool.map(lambda n: os.urandom(4), range(3), chunksize=1)
    assert len(set(drawn)) == 3
