"""Suspended completion order: one after another where possible, without deadlocks."""

from __future__ import annotations

import asyncio
import concurrent.futures as futures
import multiprocessing
import queue
import socket
import socketserver
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool, ThreadPool
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.causes import get_cause
from pytest_repro.causes._serial import futures as serial_futures
from pytest_repro.causes._serial import threads as serial_threads
from pytest_repro.causes._serial.futures import OrderedSet, order_unique

fork = pytest.mark.skipif(sys.platform != "linux", reason="forks")


@pytest.fixture(autouse=True)
def in_turn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Suspends it, with timeouts of one second at most."""
    monkeypatch.setattr(serial_threads, "THREAD_TIMEOUT", 1.0)
    monkeypatch.setattr(serial_futures, "THREAD_TIMEOUT", 0.2)
    monkeypatch.setattr(serial_futures, "TASK_TIMEOUT", 0.2)
    with get_cause("completion-order").suspend(0):
        yield


def in_thread(target: Callable[..., Any]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_thread_that_waits_for_its_starter_is_not_joined() -> None:
    event, items = threading.Event(), queue.Queue[int]()
    found: list[int] = []
    threads = [
        in_thread(lambda: found.append(int(event.wait()))),
        in_thread(lambda: found.append(items.get())),
    ]
    assert found == []
    event.set()
    items.put(2)
    for each in threads:
        each.join(5)
    assert sorted(found) == [1, 2]


def test_thread_that_waits_for_a_lock_is_abandoned() -> None:
    lock = threading.Lock()
    lock.acquire()
    thread = in_thread(lambda: lock.acquire())
    assert thread.is_alive()
    lock.release()
    thread.join(5)
    assert not thread.is_alive()


def test_threads_meet_at_a_barrier() -> None:
    barrier = threading.Barrier(3)
    with futures.ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(lambda _: barrier.wait(5), range(3))) == [0, 1, 2]
    with ThreadPool(3) as pool:
        assert sorted(pool.map(lambda _: barrier.wait(5), range(3), chunksize=1)) == [0, 1, 2]


def test_thread_waits_for_threads_it_starts() -> None:
    found: list[str] = []

    def inner() -> None:
        time.sleep(0.3)
        found.append("inner")

    def outer() -> None:
        in_thread(inner)
        found.append("outer")

    in_thread(outer)
    assert found == ["inner", "outer"]


def test_thread_that_waits_for_a_subprocess_is_joined() -> None:
    found: list[int] = []
    program = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    in_thread(lambda: found.append(subprocess.run(program, check=True, capture_output=True).returncode))
    assert found == [0]


def test_server_and_client_connect() -> None:
    class Echo(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.readline())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = in_thread(lambda: server.serve_forever(0.01))
        with socket.create_connection(server.server_address[:2], 5) as client:  # type: ignore[arg-type]
            client.sendall(b"hello\n")
            assert client.makefile().readline() == "hello\n"
        server.shutdown()
        thread.join(5)


def test_task_that_submits_tasks_gets_their_results() -> None:
    with futures.ThreadPoolExecutor(2) as pool:
        assert pool.submit(lambda: pool.submit(lambda: 3).result(5)).result(5) == 3


def test_errors_surface_in_the_same_place() -> None:
    def fails(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        return number

    with futures.ThreadPoolExecutor(2) as pool:
        done = list(futures.as_completed([pool.submit(fails, n) for n in range(3)]))
        assert [str(future.exception()) for future in done] == ["None", "one", "None"]
        assert pool.submit(str, object=5).result() == "5"
    with ThreadPool(2) as threads:
        left = threads.imap_unordered(fails, range(3))
        assert next(left) == 0
        with pytest.raises(ValueError, match="one"):
            next(left)
        assert next(left) == 2
        assert threads.starmap(divmod, [(7, 2), (9, 4)]) == [(3, 1), (2, 1)]
        with pytest.raises(ValueError, match="one"):
            threads.apply(fails, (1,))


def test_timeouts_still_raise() -> None:
    event = threading.Event()
    with futures.ThreadPoolExecutor(2) as pool:
        waits, done = pool.submit(event.wait, 30), pool.submit(bool)
        with pytest.raises(futures.TimeoutError, match="1 \\(of 2\\) futures unfinished"):
            list(futures.as_completed([done, waits], timeout=0.05))
        assert futures.wait([waits, done], 0.05).not_done == {waits}
        event.set()


def test_first_finished_comes_first_if_the_next_in_order_never_finishes() -> None:
    event = threading.Event()
    with futures.ThreadPoolExecutor(2) as pool:
        waits, done = pool.submit(event.wait, 30), pool.submit(bool)
        left = futures.as_completed([waits, done])
        assert next(left) is done
        event.set()
        assert list(left) == [waits]


async def _told(number: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return number


def test_asyncio_timeout_is_not_blocked_by_an_unfinished_task() -> None:
    async def main() -> None:
        never = asyncio.ensure_future(asyncio.Event().wait())
        soon = asyncio.ensure_future(_told(1, 0))
        done, pending = await asyncio.wait([never, soon], return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({soon}, {never})
        done, pending = await asyncio.wait([never], timeout=0.01)
        assert (done, pending) == (set(), {never})
        with pytest.raises(asyncio.TimeoutError):
            for each in asyncio.as_completed([never], timeout=0.01):
                await each
        never.cancel()

    asyncio.run(main())


def test_asyncio_results_can_be_gathered() -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*asyncio.as_completed([_told(n, 0.02 * (3 - n)) for n in range(3)]))

    assert asyncio.run(main()) == [0, 1, 2]


def _square(number: int) -> int:
    time.sleep(0.02 * (3 - number))
    return number**2


def _puts(items: Any, number: int) -> None:
    time.sleep(0.05 * (3 - number))
    items.put(number)


@fork
def test_processes_run_in_order() -> None:
    context = multiprocessing.get_context("fork")
    items = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has threads, and forks are warned of
        processes = [context.Process(target=_puts, args=(items, n)) for n in range(3)]
        for process in processes:
            process.start()
        assert [items.get() for _ in range(3)] == [0, 1, 2]
        with Pool(3, context=context) as pool:
            assert list(pool.imap_unordered(_square, range(3))) == [0, 1, 4]
            found: list[int] = []
            for n in range(3):
                pool.apply_async(_square, (n,), callback=found.append)
            assert found == [0, 1, 4]
        with futures.ProcessPoolExecutor(3, mp_context=context) as executor:
            done = futures.as_completed({executor.submit(_square, n) for n in range(3)})
            assert [future.result() for future in done] == [0, 1, 4]


@given(st.lists(st.integers()), st.integers())
def test_ordered_set_behaves_like_a_set(members: list[int], other: int) -> None:
    found = OrderedSet(members)
    assert found == set(members)
    assert (other in found) is (other in members)
    assert (
        list(found)
        == list(dict.fromkeys(members))
        == order_unique(found, float)
        == order_unique(members, float)
    )
    assert order_unique(set(members), float) == sorted(set(members))
    taken = []
    while found:
        taken.append(found.pop())
    assert taken == list(dict.fromkeys(members))
    with pytest.raises(KeyError):
        found.pop()
