"""A frozen clock advances with reads and sleep; code that waits for external events reads the real one."""

from __future__ import annotations

import asyncio
import datetime
import logging
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from time import monotonic as bound
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repro.causes import get_cause
from pytest_repro.causes.clock import _START_TIMES, FrozenClock

TRUE_TIME, TRUE_NOW = time.perf_counter, datetime.datetime.now
keeps_time = [time.perf_counter]  # a binding that nobody replaces


@pytest.fixture
def frozen() -> Iterator[None]:
    with get_cause("clock").suspend(0):
        yield


@given(st.lists(st.sampled_from([0.0, 0.001]) | st.none(), min_size=1, max_size=6))
@settings(deadline=None, max_examples=30)  # 5 ms each: the modules are gone through
def test_every_block_reads_the_same(order: list[float | None]) -> None:
    def looks() -> list[float]:
        found: list[float] = []
        with get_cause("clock").suspend(0):
            for each in order:
                if each is None:
                    found.append(time.time_ns())
                else:
                    time.sleep(each)
                    found.append(time.monotonic_ns())
        return found

    first = looks()
    assert looks() == first
    walls = [found for found, each in zip(first, order) if each is None]
    assert walls == sorted(set(walls))


def test_each_read_advances_by_a_growing_step() -> None:
    clock = FrozenClock()
    looks = [clock.read_ns("time") - _START_TIMES["time"] for _ in range(1000)]
    assert looks[0] == 1_000_000
    assert looks[1] == 2_001_000
    assert looks[-1] == sum(1_000_000 + 1_000 * n for n in range(1000))


def test_clock_is_never_before_earlier_reads(frozen: None) -> None:
    assert time.perf_counter() > 0
    assert abs(time.time() - TRUE_NOW().timestamp()) < 86400


@pytest.mark.usefixtures("frozen")
def test_deadline_loop_ends() -> None:
    end, looks = time.time() + 60, 0
    while time.time() < end:
        looks += 1
    assert 5_000 < looks < 20_000


@pytest.mark.usefixtures("frozen")
def test_sleep_sleeps_and_advances_the_clock() -> None:
    begun, real = bound(), keeps_time[0]()
    time.sleep(0.05)
    assert 0.05 <= bound() - begun < 0.06
    assert keeps_time[0]() - real >= 0.045


@pytest.mark.usefixtures("frozen")
def test_timeouts_of_waits_are_real() -> None:
    real = keeps_time[0]
    for wait in (
        lambda: queue.Queue().get(timeout=0.05),
        lambda: threading.Event().wait(0.05) or 1 / 0,
        lambda: subprocess.run([sys.executable, "-c", "import time; time.sleep(9)"], timeout=0.05),
        lambda: asyncio.run(asyncio.wait_for(asyncio.sleep(60), 0.05)),
    ):
        begun = real()
        with pytest.raises(BaseException):  # noqa: B017
            wait()
        assert 0.045 <= real() - begun < 30


@pytest.mark.usefixtures("frozen")
def test_asyncio_loop_runs_in_real_time() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.sleep(0.02)
        return [begun, loop.time()]

    begun, ended = asyncio.run(main())
    assert 0 < ended - begun < 0.01  # a look, not the time slept


def test_each_thread_has_its_own_clock() -> None:
    found: list[list[int]] = []

    def looks() -> None:
        found.append([time.time_ns() for _ in range(200)])

    with get_cause("clock").suspend(0):
        threads = [threading.Thread(target=looks) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert found == [found[0]] * 4


@pytest.mark.usefixtures("frozen")
def test_dates_agree_with_the_clock() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5))
    wall, naive, aware = time.time(), datetime.datetime.now(), datetime.datetime.now(zone)
    assert 0 < naive.timestamp() - wall < 0.01
    assert 0 < aware.timestamp() - naive.timestamp() < 0.01
    assert datetime.datetime.now(tz=None).date() == datetime.date.today()
    assert type(naive) is type(datetime.datetime.min)
    assert aware.utcoffset() == datetime.timedelta(hours=5)
    assert abs(time.mktime(time.localtime()) - wall) < 2
    assert time.localtime(0)[:1] == time.localtime(0.0)[:1]
    assert time.strftime("%Y", time.gmtime(0)) == "1970"
    assert pickle.loads(pickle.dumps([naive, aware, datetime.date.today()]))[0] == naive


@pytest.mark.usefixtures("frozen")
def test_log_records_use_the_frozen_clock() -> None:
    record = logging.LogRecord("a", 10, "b", 1, "c", (), None)
    assert 0 < time.time() - record.created < 0.01


def test_kept_references_read_the_real_clock_afterwards() -> None:
    with get_cause("clock").suspend(0):
        kept: Any = time.perf_counter
        time.sleep(0)
        kept()
    assert abs(kept() - time.perf_counter()) < 5


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(
    "module", ["_pytest.timing", "pytest_timeout", "pytest_repro.engine.check.check", "threading"]
)
def test_runner_and_waiting_modules_read_the_real_clock(module: str) -> None:
    asking: dict[str, Any] = {"__name__": module, "time": time, "datetime": datetime}
    exec("def asks(): return time.perf_counter(), datetime.datetime.now(), time.time()", asking)
    steady, now, wall = asking["asks"]()
    assert abs(steady - keeps_time[0]()) < 5
    assert abs(now.timestamp() - wall) < 5
    asking["__name__"] = "mine"
    assert asking["asks"]()[0] < steady


def test_clocks_of_pandas_stand_still() -> None:
    """They read the real one in compiled code; each access binds a class method again."""
    pandas = pytest.importorskip("pandas")
    real = vars(pandas.Timestamp)["now"]

    def read() -> list[Any]:
        now = pandas.Timestamp.now()
        with get_cause("clock").suspend(0):
            own = pandas.Timestamp.now(), pandas.Timestamp.now("Asia/Tokyo"), pandas.Timestamp.today()
            parsed = pandas.Timestamp("now"), *pandas.to_datetime(["today", "2020-01-01"])
            return [*own, now.now("UTC"), pandas.Period.now("s"), *parsed]

    first = read()
    assert read() == first
    assert [str(each.tz) for each in first[:4]] == ["None", "Asia/Tokyo", "None", "UTC"]
    assert first[0] < first[2]
    assert str(first[-1]) == "2020-01-01 00:00:00"
    assert vars(pandas.Timestamp)["now"] is real
    assert pandas.Timestamp("2020-01-01", tz="UTC").year == 2020
