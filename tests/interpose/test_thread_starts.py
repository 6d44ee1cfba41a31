"""Calls on a thread without user code are located at the user's line that started its work."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_repro.causes import get_cause
from pytest_repro.interpose.call_log import log_calls
from pytest_repro.interpose.thread_starts import note_thread_starts

SOURCE = """
import threading
def draw(*_):
    return np.random.default_rng()
def run():
    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
def submit(pool):
    return pool.submit(draw).result()
def backward(_):
    draw()
"""


@pytest.fixture
def lib() -> Any:
    """A module of an installed library."""
    namespace: dict[str, Any] = {"__name__": "lib", "np": np}
    exec(compile(SOURCE, "/x/site-packages/lib.py", "exec"), namespace)
    return SimpleNamespace(**namespace)


def locate(call: Callable[[], None]) -> list[tuple[int, str]]:
    """The line, counted from the first of *call*, and the library function of each logged call."""
    with note_thread_starts(), log_calls(get_cause("os-entropy").find_targets()) as call_log:
        call()
    calls = [each for each in call_log.calls if each.display_name == "numpy.random.default_rng()"]
    assert {each.location.rpartition(":")[0] for each in calls} == {__file__}
    first = call.__code__.co_firstlineno
    return [(int(each.location.rpartition(":")[2]) - first, each.via) for each in calls]


def test_threads(lib: Any) -> None:
    def program() -> None:
        lib.run()
        thread = threading.Thread(target=lib.draw)
        thread.start()
        thread.join()

    assert locate(program) == [(1, "lib.run"), (3, "lib.draw")]


def test_functions_given_to_pools(lib: Any) -> None:
    with ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:
        executor.submit(int).result()  # its thread runs already

        def program() -> None:
            lib.submit(executor)
            executor.submit(lib.draw).result()
            executor.submit(np.random.default_rng).result()
            list(executor.map(lib.draw, [1]))
            pool.map(lib.draw, [1])
            pool.apply_async(func=lib.draw).get()

        assert locate(program) == [
            (1, "lib.submit"), (2, "lib.draw"), (3, ""), (4, "lib.draw"), (5, "lib.draw"), (6, "lib.draw"),
        ]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="starts a thread by libc")
def test_backward_passes_on_threads_of_torch(lib: Any) -> None:
    libc, thread = ctypes.CDLL(None), ctypes.c_ulong()
    target = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lib.backward)
    engine: dict[str, Any] = {"__name__": "torch.autograd.graph"}
    exec("def run(start, join): start(), join()", engine)

    def start() -> None:
        engine["run"](
            functools.partial(libc.pthread_create, ctypes.byref(thread), None, target, None),
            functools.partial(libc.pthread_join, thread, None),
        )

    assert locate(start) == [(1, "lib.backward")]


def test_a_line_keeps_no_variables_alive() -> None:
    class Held:
        pass

    def start() -> tuple[weakref.ref[Held], Future[bool]]:
        held = Held()
        return weakref.ref(held), executor.submit(event.wait)

    event = threading.Event()
    with ThreadPoolExecutor(1) as executor, note_thread_starts():
        held, future = start()
        gc.collect()
        assert held() is None
        event.set()
        assert future.result()
