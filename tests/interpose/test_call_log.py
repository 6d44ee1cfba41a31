"""Which calls are logged, and on which line of the user's."""

from __future__ import annotations

import _thread
import datetime
import json
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from time import perf_counter as bound_perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repro.causes import find_all_targets, get_cause, list_cause_names
from pytest_repro.core.diagnose import ExternalCall
from pytest_repro.interpose.call_log import log_calls

torch: Any = pytest.importorskip("torch")

random_: Any = np.random


def current_line() -> int:
    return sys._getframe(1).f_lineno


def logged(*calls: Callable[[], Any]) -> list[tuple[str, str, int]]:
    """Display name, via and count of each call that *calls* make from this file."""
    with log_calls(find_all_targets()) as call_log:
        for call in calls:
            call()
    assert {call.location.rpartition(":")[0] for call in call_log.calls} <= {__file__}
    return [(call.display_name, call.via, call.count) for call in call_log.calls]


def test_each_line_is_one_entry_with_a_count() -> None:
    with log_calls(get_cause("clock").find_targets()) as call_log:
        first = current_line() + 2
        for _ in range(3):
            time.time()
        bound_perf_counter(), bound_perf_counter()
    assert call_log.calls == (
        ExternalCall("time.time()", "clock", f"{__file__}:{first}", count=3),
        ExternalCall("time.perf_counter()", "clock", f"{__file__}:{first + 1}", count=2),
    )


def test_calls_convert_to_json_and_back() -> None:
    with log_calls(get_cause("clock").find_targets()) as call_log:
        time.time()
    (call,) = call_log.calls
    assert ExternalCall(*json.loads(json.dumps(astuple(call)))) == call


ENTROPY: dict[str, Callable[[], Any]] = {
    "numpy.random.default_rng()": lambda: np.random.default_rng(),
    "numpy.random.RandomState()": lambda: np.random.RandomState(),
    "numpy.random.SeedSequence()": lambda: np.random.SeedSequence(),
    "numpy.random.PCG64()": lambda: np.random.Generator(np.random.PCG64()),
    "numpy.random.seed()": lambda: random_.seed(),
    "random.Random()": lambda: random.Random(),
    "random.seed()": lambda: random.seed(),
    "random.SystemRandom": lambda: random.SystemRandom().random(),
    "uuid.uuid4()": lambda: uuid.uuid4(),
    "os.urandom()": lambda: os.urandom(1),
    "torch.seed()": lambda: torch.seed(),
    "torch.Generator.seed()": lambda: torch.Generator().seed(),
}


@pytest.mark.parametrize("name", ENTROPY)
def test_entropy_is_logged_once_by_the_name_in_the_line(name: str) -> None:
    before = random.getstate(), torch.get_rng_state(), random_.get_state()
    assert logged(ENTROPY[name]) == [(name, "", 1)]
    random.setstate(before[0])
    torch.set_rng_state(before[1])
    random_.set_state(before[2])


def test_seeded_generators_are_no_entropy() -> None:
    before = random.getstate(), random_.get_state()
    found = logged(
        lambda: (np.random.default_rng(0), np.random.RandomState(seed=0), np.random.PCG64(3)),
        lambda: (random.Random(0), random.Random("x"), torch.Generator().manual_seed(0)),
    )
    assert found == []
    assert logged(lambda: random.seed(1), lambda: random_.seed(1)) == [
        ("random.seed()", "", 1),
        ("numpy.random.seed()", "", 1),
    ]
    random.setstate(before[0])
    random_.set_state(before[1])


def test_reseeding_and_flags_are_shared_state() -> None:
    with torch.random.fork_rng(), log_calls(get_cause("shared-state").find_targets()) as call_log:
        torch.manual_seed(3)
        torch.set_default_dtype(torch.get_default_dtype())
    assert [(call.display_name, call.cause) for call in call_log.calls] == [
        ("torch.manual_seed()", "shared-state"),
        ("torch.set_default_dtype()", "shared-state"),
    ]


def test_cause_of_a_hash_depends_on_its_argument() -> None:
    def calls() -> list[int]:
        return [hash("text"), hash((1, b"bytes")), hash(object()), hash(3), hash((1, 2)), id(calls)]

    with log_calls(find_all_targets()) as call_log:
        calls()
    assert [(call.display_name, call.cause, call.count) for call in call_log.calls] == [
        ("hash()", "hash-seed", 2),
        ("hash()", "address-order", 1),
        ("id()", "address-order", 1),
    ]


LIBRARY = """
import os, time, uuid, random
from uuid import uuid4
from time import time as bound

def fresh(): return uuid4()
def looked_up(): return uuid.uuid4()
def draws(): return inner()
def inner(): return os.urandom(1)
def stamp(): return time.time(), bound()
def back(function): return function()
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "site-packages" / "somelib"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "ids.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(folder.parent))
    for name in ("somelib", "somelib.ids"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from importlib import import_module

    return import_module("somelib.ids")


def test_calls_by_a_library_are_logged_on_the_users_line(library: Any) -> None:
    assert logged(library.fresh, library.looked_up, library.draws, library.stamp) == [
        ("os.urandom()", "somelib.ids.fresh", 1),
        ("uuid.uuid4()", "somelib.ids.looked_up", 1),
        ("os.urandom()", "somelib.ids.draws", 1),
        ("time.time()", "somelib.ids.stamp", 1),
    ]


def test_user_functions_called_by_a_library_are_user_code(library: Any) -> None:
    assert logged(lambda: library.back(lambda: os.urandom(1))) == [("os.urandom()", "", 1)]


def test_calls_by_python_and_torch_are_no_evidence() -> None:
    import logging

    record = logging.LogRecord("a", 10, "b", 1, "c", (), None)
    assert (
        logged(lambda: logging.LogRecord("a", 10, "b", 1, "c", (), None), lambda: torch.nn.Linear(2, 2)) == []
    )
    assert record.created


def test_calls_by_the_runner_are_no_evidence() -> None:
    namespace: dict[str, Any] = {"__name__": "_pytest.runner", "time": time, "os": os}
    exec("def timed(): return time.time(), os.urandom(1)", namespace)
    assert logged(namespace["timed"]) == []


def test_threads_share_one_log() -> None:
    def call_time() -> None:
        for _ in range(500):
            time.time()

    with log_calls(get_cause("clock").find_targets()) as call_log:
        threads = [threading.Thread(target=call_time) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [(call.display_name, call.count) for call in call_log.calls] == [("time.time()", 4000)]


def test_threads_without_user_code_report_their_outermost_frame(library: Any) -> None:
    def start() -> None:
        thread = threading.Thread(target=library.draws)
        thread.start()
        thread.join()

    with log_calls(get_cause("os-entropy").find_targets()) as call_log:
        start()
    assert [(call.display_name, Path(call.location.rpartition(":")[0]).name) for call in call_log.calls] == [
        ("os.urandom()", "ids.py")
    ]


def test_nothing_is_logged_outside_the_block() -> None:
    real = time.time
    with log_calls(get_cause("clock").find_targets()) as call_log:
        wrapped = time.time
    wrapped()
    assert call_log.calls == ()
    assert time.time is real


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["time", "date", "entropy"]), max_size=30))
def test_counts(order: list[str]) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "time": lambda: time.time(),
        "date": lambda: datetime.datetime.now(),
        "entropy": lambda: os.urandom(1),
    }
    names = {"time": "time.time()", "date": "datetime.datetime.now()", "entropy": "os.urandom()"}
    found = logged(*(calls[key] for key in order))
    assert {name: count for name, _, count in found} == {names[key]: order.count(key) for key in order}


def test_draws_do_not_change() -> None:
    def draws() -> list[Any]:
        rng, legacy, own = np.random.default_rng(3), np.random.RandomState(3), random.Random(3)
        generator = torch.Generator().manual_seed(3)
        return [rng.random(), legacy.rand(), own.random(), torch.rand(1, generator=generator).item()]

    expected, before = draws(), random.getstate()
    with log_calls(find_all_targets()):
        assert draws() == expected
    assert random.getstate() == before


def test_every_target_exists_and_has_a_cause() -> None:
    found = list(find_all_targets())
    assert {target.cause for target in found} | {"row-order"} == {  # of polars, which is not imported
        name for name in list_cause_names() if get_cause(name).watched_functions
    }
    assert all(target.function.display_name for target in found)
    for target in found:
        assert callable(getattr(target.owner, target.name))


def test_a_call_without_a_caller_in_python_reaches_the_real_function() -> None:
    """As numba makes them, in the threads of compiled code."""
    called = threading.Event()

    class Size:
        def __index__(self) -> int:
            called.set()
            return 4

    with log_calls(get_cause("os-entropy").find_targets()):
        draw: Any = os.urandom
        _thread.start_new_thread(draw, (Size(),))
        assert called.wait(30)
