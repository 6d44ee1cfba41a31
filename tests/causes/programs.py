"""Small programs that no two runs agree on, each for one cause alone.

A program is given the number of its run. It may depend on that only by what the world does: how
long work takes, what was in memory before, in which order a file system lists.
"""

from __future__ import annotations

import asyncio
import concurrent.futures as futures
import datetime as dates
import glob
import os
import queue
import random
import secrets
import tempfile
import threading
import time
import timeit
import uuid
from collections.abc import Callable
from datetime import datetime
from multiprocessing.pool import ThreadPool
from os import listdir, urandom
from pathlib import Path
from secrets import randbits
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from numpy import empty
from numpy.random import default_rng

torch: Any = pytest.importorskip("torch")

Program = Callable[[int], Any]
numpy_random: Any = np.random

# --- os-entropy


def unseeded_system() -> list[Any]:
    return [random.SystemRandom().random(), secrets.choice(range(10**9)), randbits(60), urandom(8)]


def reseeded_globally() -> list[float]:
    before = random.getstate(), np.random.get_state()
    random.seed()
    numpy_random.seed()
    found = [random.random(), np.random.random()]
    random.setstate(before[0])
    np.random.set_state(before[1])
    return found


def torch_reseeded() -> tuple[Any, Any]:
    before = torch.get_rng_state()
    number = torch.seed()
    drawn = torch.rand(1).item()
    torch.set_rng_state(before)
    return number, drawn


def torch_generator() -> tuple[int, float]:
    generator = torch.Generator()
    return generator.seed(), torch.rand(1, generator=generator).item()


def bit_generators() -> list[Any]:
    seeded = np.random.Generator(np.random.PCG64(np.random.SeedSequence()))
    return [seeded.random(), np.random.RandomState().rand(), np.random.Philox().random_raw()]


def temporary_name() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return folder


# --- clock


def steps_in_a_budget() -> int:
    end, steps = perf_counter() + 0.01, 0
    while perf_counter() < end:
        steps += 1
    return steps


def seeded_by_time() -> float:
    return random.Random(time.time_ns()).random()


def stamped_by_a_thread() -> float:
    stamps: queue.Queue[float] = queue.Queue()
    worker = threading.Thread(target=lambda: stamps.put(time.monotonic()))
    worker.start()
    worker.join()
    return stamps.get(timeout=5)


async def on_the_loop() -> float:
    await asyncio.sleep(0.001)
    return asyncio.get_running_loop().time()


# --- file-order


def listing(names: Callable[[Path], Any]) -> Program:
    """Lists twelve files, in another order in each run."""

    def program(run: int) -> list[str]:
        with tempfile.TemporaryDirectory() as top:
            for number in range(12):
                Path(top, f"{number}.txt").write_text(str(number))
            return [Path(name).name for name in names(Path(top))]

    return program


# --- completion-order


def late(run: int, number: int) -> int:
    """Work that takes longest for the first of three in one run and for the last in the next."""
    time.sleep(0.05 * (number if run % 2 else 2 - number))
    return number


async def awaited(run: int, number: int) -> int:
    await asyncio.sleep(0.05 * (number if run % 2 else 2 - number))
    return number


def threads_append(run: int) -> list[int]:
    found: list[int] = []
    threads = [threading.Thread(target=lambda n=n: found.append(late(run, n))) for n in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def completed(run: int) -> list[int]:
    with futures.ThreadPoolExecutor(3) as pool:
        return [f.result() for f in futures.as_completed([pool.submit(late, run, n) for n in range(3)])]


def done_first(run: int) -> list[int]:
    found, left = [], set()
    with futures.ThreadPoolExecutor(3) as pool:
        left = {pool.submit(late, run, n) for n in range(3)}
        while left:
            done, left = futures.wait(left, return_when=futures.FIRST_COMPLETED)
            found += [future.result() for future in done]
    return found


def tasks_append(run: int) -> list[int]:
    found: list[int] = []
    with futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: found.append(late(run, n)), range(3)))
    return found


def pool_appends(run: int) -> list[int]:
    found: list[int] = []
    with ThreadPool(3) as pool:
        pool.map(lambda n: found.append(late(run, n)), range(3), chunksize=1)
    return found


def unordered(run: int) -> list[int]:
    with ThreadPool(3) as pool:
        return list(pool.imap_unordered(lambda n: late(run, n), range(3)))


def pool_calls_back(run: int) -> list[int]:
    found: list[int] = []
    with ThreadPool(3) as pool:
        results = [pool.apply_async(late, (run, n), callback=found.append) for n in range(3)]
        for each in results:
            each.wait()
    return found


async def async_completed(run: int) -> list[int]:
    return [await each for each in asyncio.as_completed([awaited(run, n) for n in range(3)])]


async def async_done_first(run: int) -> list[int]:
    found, left = [], {asyncio.ensure_future(awaited(run, n)) for n in range(3)}
    while left:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        found += [task.result() for task in done]
    return found


# --- address-order


class Thing:
    """Something without an order of its own."""

    def __init__(self, number: int) -> None:
        self.number = number


def scattered(run: int) -> list[Thing]:
    """Objects created in one order, with addresses in another order in each run."""
    before = [Thing(0) for _ in range(500)]
    random.Random(run).shuffle(before)
    while before:
        before.pop()
    return [Thing(number) for number in range(40)]


def by_id(run: int) -> list[int]:
    return [thing.number for thing in sorted(scattered(run), key=id)]


def by_hash(run: int) -> list[int]:
    return [thing.number for thing in sorted(scattered(run), key=hash)]


def by_key(run: int) -> list[int]:
    things = {id(thing): thing for thing in scattered(run)}
    return [things[key].number for key in sorted(things)]


# --- uninitialised-memory


def after(make: Callable[[], Any], run: int, dirty: Callable[[float], Any]) -> Any:
    """The sums of new memory, where the number of the run was before."""
    found = []
    for _ in range(20):
        dirt = [dirty(float(run + 1)) for _ in range(4)]
        del dirt
        found.append(float(make().sum()))
    return found


LIKE, TENSOR = np.zeros(64), torch.zeros(1)


def numpy_dirt(value: float) -> Any:
    return np.full(64, value)


def torch_dirt(value: float) -> Any:
    return torch.full((64,), value)


PROGRAMS: dict[str, dict[str, Program]] = {
    "os-entropy": {
        "default_rng": lambda run: [np.random.default_rng().random(), default_rng().random()],
        "bit generators": lambda run: bit_generators(),
        "random.Random": lambda run: random.Random().random(),
        "system": lambda run: unseeded_system(),
        "secrets": lambda run: [secrets.token_hex(4), secrets.token_bytes(4), secrets.randbelow(2**40)],
        "uuid4": lambda run: uuid.uuid4(),
        "os": lambda run: [os.urandom(8), os.getrandom(8) if hasattr(os, "getrandom") else b""],
        "seed()": lambda run: reseeded_globally(),
        "torch.seed": lambda run: torch_reseeded(),
        "Generator.seed": lambda run: torch_generator(),
        "tempfile": lambda run: temporary_name(),
    },
    "clock": {
        "time": lambda run: time.time(),
        "bound names": lambda run: [perf_counter(), datetime.now()],
        "dates": lambda run: [dates.datetime.now(dates.timezone.utc), dates.datetime.today().isoformat()],
        "broken down": lambda run: [time.strftime("%c"), time.gmtime(), time.perf_counter_ns()],
        "budget": lambda run: [steps_in_a_budget(), timeit.default_timer()],
        "seed": lambda run: seeded_by_time(),
        "uuid1": lambda run: uuid.uuid1(),
        "thread": lambda run: stamped_by_a_thread(),
        "loop": lambda run: asyncio.run(on_the_loop()),
        "cpu": lambda run: [time.process_time_ns(), time.thread_time_ns(), time.clock_gettime(0)],
    },
    "file-order": {
        "os.listdir": listing(lambda top: os.listdir(top)),
        "bound name": listing(lambda top: listdir(top)),
        "os.scandir": listing(lambda top: [entry.name for entry in os.scandir(top)]),
        "os.walk": listing(lambda top: next(os.walk(top))[2]),
        "glob": listing(lambda top: glob.glob(f"{top}/*.txt")),
        "iterdir": listing(lambda top: top.iterdir()),
        "Path.glob": listing(lambda top: top.glob("*.txt")),
        "Path.rglob": listing(lambda top: top.rglob("*.txt")),
    },
    "completion-order": {
        "Thread.start": threads_append,
        "as_completed": completed,
        "wait": done_first,
        "executor": tasks_append,
        "ThreadPool.map": pool_appends,
        "imap_unordered": unordered,
        "apply_async": pool_calls_back,
        "asyncio.as_completed": lambda run: asyncio.run(async_completed(run)),
        "asyncio.wait": lambda run: asyncio.run(async_done_first(run)),
    },
    "address-order": {"id": by_id, "hash": by_hash, "key": by_key},
    "uninitialised-memory": {
        "np.empty": lambda run: after(lambda: np.empty(64), run, numpy_dirt),
        "bound name": lambda run: after(lambda: empty(64), run, numpy_dirt),
        "np.empty_like": lambda run: after(lambda: np.empty_like(LIKE), run, numpy_dirt),
        "torch.empty": lambda run: after(lambda: torch.empty(64), run, torch_dirt),
        "new_empty": lambda run: after(lambda: TENSOR.new_empty(64), run, torch_dirt),
    },
}
