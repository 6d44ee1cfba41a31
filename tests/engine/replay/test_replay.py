"""What one run takes from outside is fed to the others, call by call; all is put back."""

from __future__ import annotations

import datetime as dates
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import digest, pin_entropy
from pytest_repro.causes import find_all_targets, get_cause
from pytest_repro.core.replay.external_input import ExternalInput, ReplayLog
from pytest_repro.core.replay.log_file import FORMAT, encode_log, format_logs, read_logs, write_atomically
from pytest_repro.engine.replay.intercept import ThreadNames, intercept
from pytest_repro.engine.replay.replay import WHOLE_RUN, Replay, ReplayedBlock
from pytest_repro.engine.replay.tape import Tape
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.interpose.call_log import log_calls
from tests.causes.programs import PROGRAMS
from tests.causes.test_suspension import held

HERE = Path(__file__).name
CASES = [(cause, name) for cause in ("os-entropy", "clock") for name in PROGRAMS[cause]]
ROOT = f"{Path(__file__).parent}{os.sep}"

of_numpy, of_python, of_torch = np.random.default_rng(), random.Random(), torch.Generator()
legacy = np.random.RandomState()


@contextmanager
def running(log: ReplayLog | None) -> Iterator[Tape]:
    threads = ThreadNames()
    made = Tape(log, ROOT, threads.get_current_name)
    with intercept(made, threads):
        yield made


def kept(log: ReplayLog) -> ReplayLog:
    """*log* after a while in a file."""
    return read_logs(format_logs({"a": encode_log(log)}))["a"]


def of(program: Callable[[], Any], log: ReplayLog | None = None) -> tuple[Any, Tape]:
    with running(log) as tape:
        found = program()
    return found, tape


@pytest.mark.parametrize(("cause", "name"), CASES)
def test_what_a_seed_does_not_reach_is_the_same_again(cause: str, name: str) -> None:
    before = held()
    program = PROGRAMS[cause][name]
    first, tape = of(lambda: program(1))
    log = kept(tape.log)
    assert held() == before
    again, tape = of(lambda: program(2), log)
    assert held() == before
    assert (again, tape.past_log) == (first, ())
    assert program(3) != first


def drawn() -> list[float]:
    return [
        of_numpy.normal(), of_python.gauss(0, 1), torch.rand(1, generator=of_torch).item(), legacy.normal(),
    ]  # fmt: skip


def test_generators_in_globals_begin_where_they_stood() -> None:
    drawn()  # leaves halves of pairs behind
    first, tape = of(drawn)
    now = digest([of_numpy, of_python, of_torch, legacy])
    log = kept(tape.log)
    assert {f"{__name__}.{each}" for each in ("of_numpy", "of_python", "of_torch", "legacy")} <= {
        *log.generators
    }
    assert of(drawn, log)[0] == of(drawn, log)[0] == first
    assert digest([of_numpy, of_python, of_torch, legacy]) == now
    assert drawn() != first


def test_a_generator_of_another_kind_is_left_alone_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _, tape = of(lambda: None)
    monkeypatch.setattr(sys.modules[__name__], "of_numpy", np.random.Generator(np.random.Philox(1)))
    monkeypatch.delattr(sys.modules[__name__], "of_python")
    before = digest(of_numpy)
    _, tape = of(lambda: None, tape.log)
    (other, gone) = sorted(each for each in tape.past_log if __name__ in each)
    assert other.startswith(f"replay could not put {__name__}.of_numpy where it stood: ")
    assert gone == f"replay found no generator {__name__}.of_python to put where it stood"
    assert digest(of_numpy) == before


def ask(times: int) -> list[str]:
    return [uuid.uuid4().hex for _ in range(times)]  # the line that is asked from


LINE = ask.__code__.co_firstlineno + 1


def test_a_call_is_named_with_file_and_line() -> None:
    found, tape = of(lambda: ask(1))
    assert tape.log.calls == (
        ExternalInput(
            "uuid.uuid4()", f"{HERE}:{LINE}", "uuid.uuid4", "", "16 bytes", tape.log.calls[0].value
        ),
    )
    assert uuid.UUID(bytes=bytes.fromhex(tape.log.calls[0].value), version=4).hex == found[0]


def test_a_program_that_asks_for_more_goes_on_with_fresh_values() -> None:
    first, logged = of(lambda: ask(3))
    again, tape = of(lambda: ask(5), logged.log)
    assert again[:3] == first
    assert len(set(again)) == 5
    assert tape.past_log == (f"replay ran out at {HERE}:{LINE}: the log has 3 calls, this is the 4th",)


def test_another_place_takes_nothing_from_the_log_of_this_one() -> None:
    first, logged = of(lambda: ask(1))

    def elsewhere() -> list[str]:
        found = [os.urandom(16).hex()]
        return [*found, uuid.uuid4().hex, *ask(1)]

    again, tape = of(elsewhere, logged.log)
    assert again[2] == first[0]
    assert [each.partition(": ")[2] for each in tape.past_log] == ["the log has 0 calls, this is the 1st"] * 2


def test_a_clock_that_ran_out_goes_on_and_never_back() -> None:
    def looks(number: int) -> list[int]:
        return [look() for _ in range(number) for look in (time.monotonic_ns, time.time_ns)]

    _, logged = of(lambda: looks(1))
    calls = [replace(each, value=str(int(each.value) + 3600 * 10**9)) for each in logged.log.calls]
    again, tape = of(lambda: looks(3), ReplayLog({}, tuple(calls)))
    assert again[:2] == [int(each.value) for each in calls]
    assert len(tape.past_log) == 1
    for clock in (again[::2], again[1::2]):
        assert clock == sorted(set(clock))
        assert clock[-1] - clock[0] < 60 * 10**9


def test_a_loop_that_waits_for_a_deadline_ends_in_each_run() -> None:
    def waits() -> int:
        end, looks = time.perf_counter() + 0.005, 0
        while time.perf_counter() < end:
            looks += 1
        return looks

    first, logged = of(waits)
    again, tape = of(waits, logged.log)
    assert (again, tape.past_log) == (first, ())


def in_threads() -> dict[str, list[str]]:
    """Threads that start threads; each asks the same line, and they come in any order."""
    found: dict[str, list[str]] = {}

    def work(name: str, deep: bool) -> None:
        below = [threading.Thread(target=work, args=(f"{name}.{n}", False)) for n in range(2 * deep)]
        for each in below:
            each.start()
        for _ in range(3):
            time.sleep(random.SystemRandom().random() / 500)
            found.setdefault(name, []).append(ask(1)[0])
        for each in below:
            each.join()

    threads = [threading.Thread(target=work, args=(str(n), True)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_each_thread_is_given_what_it_took() -> None:
    before = held()
    first, logged = of(in_threads)
    assert {c.thread for c in logged.log.calls} == {"1", "2", "3"} | {f"{a}.{b}" for a in "123" for b in "12"}
    for _ in range(3):
        again, tape = of(in_threads, kept(logged.log))
        assert (again, tape.past_log) == (first, ())
    assert held() == before


def test_threads_of_a_pool_share_what_is_there() -> None:
    def pooled(workers: int) -> list[str]:
        with ThreadPoolExecutor(workers) as pool:
            return sorted(pool.map(lambda n: ask(1)[0], range(40)))

    first, logged = of(lambda: pooled(4))
    again, tape = of(lambda: pooled(2), logged.log)
    assert (again, tape.past_log) == (first, ())


def test_a_block_that_is_left_and_entered_again_goes_on() -> None:
    def parted(log: ReplayLog | None) -> tuple[list[Any], Tape]:
        threads, found = ThreadNames(), []
        tape = Tape(log, ROOT, threads.get_current_name)
        for _ in range(2):
            with intercept(tape, threads):
                found.append([ask(1), drawn()])
            if log is not None:  # of the run that is logged it would be a part
                drawn()
        return found, tape

    first, logged = parted(None)
    again, tape = parted(logged.log)
    assert (again, tape.past_log) == (first, ())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_all_is_put_back_after_an_error(error: type[BaseException]) -> None:
    _, logged = of(drawn)
    for log in (None, logged.log):
        before, stood = held(), digest([of_numpy, of_python, of_torch])
        with pytest.raises(error), running(log):
            assert held() != before
            raise error
        assert held() == before
        assert digest([of_numpy, of_python, of_torch]) == stood


def world() -> list[Any]:
    return [
        *ask(1),
        random.Random().random(),
        np.random.default_rng().random(),
        dates.datetime.now(),
        time.time(),
    ]


def test_blocks_of_all_kinds_nest() -> None:
    before = held()
    with pin_entropy(3), get_cause("clock").suspend(0), log_calls(find_all_targets()) as heard:
        first, tape = of(world)
        assert of(world, tape.log)[0] == first
        with running(None), pin_entropy(3), get_cause("clock").suspend(0):
            inner = world()
        with running(tape.log), pin_entropy(3), get_cause("clock").suspend(0):
            assert world() == inner != first
    assert held() == before
    assert {each.cause for each in heard.calls} == {"os-entropy"}


def test_a_pin_that_rests_leaves_nothing_on_what_it_lay_upon() -> None:
    before, first = held(), []
    tape, threads = Tape(None), ThreadNames()
    with Pin(0) as pin:
        for _ in range(2):
            with log_calls(find_all_targets()):
                pin.set_input(lambda: intercept(tape, threads))
                pin.seed()
                first += ask(1)
                pin.end_run()
            assert held() == before
    assert len(tape.log.calls) == len(first)


def test_a_run_that_does_not_count_is_not_the_first() -> None:
    replay = Replay()
    block, found = ReplayedBlock(replay), []
    for _ in range(4):
        replay.begin_run()
        with block:
            found.append(ask(1))
        with block():
            found[-1] += ask(2)
        if len(found) == 2:
            replay.keep_logs()
    assert found[0] != found[1] == found[2] == found[3]
    assert len({each for run in found for each in run}) == 6


def test_of_a_run_that_is_fed_a_block_is_a_part() -> None:
    replay = Replay(True)
    found = []
    for _ in range(2):
        feeding = replay.begin_run()
        assert feeding is not None
        with feeding():
            found.append(ask(1))
            with ReplayedBlock(replay):
                found[-1] += ask(1)
            found[-1] += ask(1)
        replay.keep_logs()
    assert found[0] == found[1]
    assert len(replay.logs[WHOLE_RUN].calls) == 3


def test_a_call_over_several_lines_is_told_in_one() -> None:
    _, tape = of(
        lambda: np.random.default_rng(
            seed=None,
        )
    )
    (call,) = tape.log.calls
    assert call.request == "128 bits"
    if sys.version_info >= (3, 11):
        assert call.call == "np.random.default_rng( seed=None, )"


WORDS = st.text(max_size=8)
CALLS = st.one_of(
    st.binary(max_size=20).map(lambda b: (f"{len(b)} bytes", b.hex())),
    st.integers(0, 2**128 - 1).map(lambda n: ("128 bits", f"{n:x}")),
    st.integers(-(2**63), 2**63).map(lambda n: ("perf_counter", str(n))),
).flatmap(
    lambda pair: st.builds(ExternalInput, WORDS, WORDS, WORDS, WORDS, st.just(pair[0]), st.just(pair[1]))
)
LOGS = st.builds(ReplayLog, st.dictionaries(WORDS, WORDS, max_size=3), st.lists(CALLS, max_size=4).map(tuple))


@given(st.dictionaries(WORDS, LOGS, max_size=3))
def test_a_file_gives_back_what_was_written(logs: dict[str, ReplayLog]) -> None:
    assert read_logs(format_logs({name: encode_log(log) for name, log in logs.items()})) == logs


@given(st.dictionaries(WORDS, LOGS, min_size=1, max_size=2), st.data())
def test_half_of_a_file_is_refused(logs: dict[str, ReplayLog], data: st.DataObject) -> None:
    whole = format_logs({name: encode_log(log) for name, log in logs.items()}).strip()
    with pytest.raises(ValueError, match="is not JSON: "):
        read_logs(whole[: data.draw(st.integers(0, len(whole) - 1))])


GOOD = format_logs(
    {"a": encode_log(ReplayLog({"m.g": "s"}, (ExternalInput("f()", "a.py:1", "", "", "2 bytes", "00ff"),)))}
)
DAMAGE = {
    ("00ff", "00f"): "is damaged: tests['a'].calls[0].value is not 2 bytes",
    ("00ff", "00fx"): "is damaged: tests['a'].calls[0].value is \"00fx\", not of the form [0-9a-f]*",
    ("2 bytes", "bytes, 2"): "is damaged: tests['a'].calls[0].asked is \"bytes, 2\", not of the form [a-z_]+",
    ('"2 bytes"', "2"): "is damaged: tests['a'].calls[0].asked is 2, not text",
    ('"m.g": 0', '"m.g": 1'): "is damaged: tests['a'].generators['m.g'] is 1: there are 1 states",
    ('"m.g": 0', '"m.g": true'): "is damaged: tests['a'].generators['m.g'] is true, not a whole number",
    ('"location"', '"place"'): "is damaged: tests['a'].calls[0] has the unknown key 'place'",
    ('"tests"', '"texts"'): "is damaged: has no 'tests'",
    (f'"format": {FORMAT}', f'"format": {FORMAT + 1}'): (
        f"is a replay log of format {FORMAT + 1}; this version of pytest-repro reads format {FORMAT}"
    ),
    ("pytest-repro replay", "notes"): "is not a replay log of pytest-repro",
    (GOOD, "[]"): "is not a replay log of pytest-repro",
    (GOOD, "[" * 100_000): "is nested too deeply",
}


@pytest.mark.parametrize("change", DAMAGE, ids=lambda change: change[1][:20])
def test_a_damaged_or_newer_file_is_refused(change: tuple[str, str]) -> None:
    assert read_logs(GOOD)
    with pytest.raises(ValueError) as caught:
        read_logs(GOOD.replace(*change))
    assert str(caught.value).startswith(DAMAGE[change])


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "log", "first")
    write_atomically(tmp_path / "log", "second")
    monkeypatch.setattr(os, "replace", lambda *paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "log", "third")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["second"]
