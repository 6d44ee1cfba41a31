"""What one run takes from outside is replayed in the others, call by call; everything is restored."""

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
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import digest, pin_entropy
from pytest_repro.causes import find_all_targets, get_cause
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.replay import (
    FORMAT,
    ExternalInput,
    ReplayLog,
    encode_log,
    format_logs,
    read_logs,
)
from pytest_repro.core.runs.run import RunSpec
from pytest_repro.engine.replay import WHOLE_RUN, Replay
from pytest_repro.engine.replay.intercept import intercept
from pytest_repro.engine.replay.tape import Tape
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.interpose.call_log import log_calls
from tests.causes.programs import PROGRAMS
from tests.causes.test_suspension import held as list_patched

torch: Any = pytest.importorskip("torch")
HERE = Path(__file__).name
CASES = [(cause, name) for cause in ("os-entropy", "clock") for name in PROGRAMS[cause]]
ROOT = f"{Path(__file__).parent}{os.sep}"

numpy_rng, python_rng, torch_rng = np.random.default_rng(), random.Random(), torch.Generator()
legacy_rng = np.random.RandomState()


@contextmanager
def replay_tape(log: ReplayLog | None) -> Iterator[Tape]:
    tape = Tape(log, ROOT)
    with intercept(tape):
        yield tape


def write_and_read(log: ReplayLog) -> ReplayLog:
    """*log* after a round trip through a file."""
    return read_logs(format_logs({"a": encode_log(log)}))["a"]


def run(program: Callable[[], Any], log: ReplayLog | None = None) -> tuple[Any, Tape]:
    with replay_tape(log) as tape:
        result = program()
    return result, tape


@pytest.mark.parametrize(("cause", "name"), CASES)
def test_replay_of_a_program(cause: str, name: str) -> None:
    before = list_patched()
    program = PROGRAMS[cause][name]
    first, tape = run(lambda: program(1))
    log = write_and_read(tape.log)
    assert list_patched() == before
    again, tape = run(lambda: program(2), log)
    assert list_patched() == before
    assert (again, tape.past_log) == (first, ())
    assert program(3) != first


def draw() -> list[float]:
    return [
        numpy_rng.normal(),
        python_rng.gauss(0, 1),
        torch.rand(1, generator=torch_rng).item(),
        legacy_rng.normal(),
    ]


def test_generators_in_globals_start_from_the_logged_state() -> None:
    draw()  # leaves the second of a pair of normal numbers behind
    first, tape = run(draw)
    after = digest([numpy_rng, python_rng, torch_rng, legacy_rng])
    log = write_and_read(tape.log)
    names = ("numpy_rng", "python_rng", "torch_rng", "legacy_rng")
    assert {f"{__name__}.{name}" for name in names} <= set(log.generators)
    assert run(draw, log)[0] == run(draw, log)[0] == first
    assert digest([numpy_rng, python_rng, torch_rng, legacy_rng]) == after
    assert draw() != first


def test_generator_of_another_kind_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    _, tape = run(lambda: None)
    monkeypatch.setattr(sys.modules[__name__], "numpy_rng", np.random.Generator(np.random.Philox(1)))
    monkeypatch.delattr(sys.modules[__name__], "python_rng")
    before = digest(numpy_rng)
    _, tape = run(lambda: None, tape.log)
    gone, other = sorted(note for note in tape.past_log if __name__ in note)
    assert other.startswith(f"replay could not set the state of {__name__}.numpy_rng: ")
    assert gone == f"replay could not find the generator {__name__}.python_rng of the log"
    assert digest(numpy_rng) == before


def make_ids(count: int) -> list[str]:
    return [uuid.uuid4().hex for _ in range(count)]  # the logged line


LINE = make_ids.__code__.co_firstlineno + 1


def test_logged_call_has_file_and_line() -> None:
    ids, tape = run(lambda: make_ids(1))
    assert tape.log.calls == (
        ExternalInput(
            "uuid.uuid4()", f"{HERE}:{LINE}", "uuid.uuid4", "", "16 bytes", tape.log.calls[0].value
        ),
    )
    assert uuid.UUID(bytes=bytes.fromhex(tape.log.calls[0].value), version=4).hex == ids[0]


def test_more_calls_than_logged_get_new_values() -> None:
    first, logged = run(lambda: make_ids(3))
    again, tape = run(lambda: make_ids(5), logged.log)
    assert again[:3] == first
    assert len(set(again)) == 5
    assert tape.past_log == (f"replay ran out at {HERE}:{LINE}: the log has 3 calls, this is the 4th",)


def test_other_lines_do_not_use_logged_answers() -> None:
    first, logged = run(lambda: make_ids(1))

    def elsewhere() -> list[str]:
        first = os.urandom(16).hex()
        return [first, uuid.uuid4().hex, *make_ids(1)]

    again, tape = run(elsewhere, logged.log)
    assert again[2] == first[0]
    assert [note.partition(": ")[2] for note in tape.past_log] == ["the log has 0 calls, this is the 1st"] * 2


def test_clock_after_the_end_of_the_log_never_runs_backwards() -> None:
    def read_clocks(count: int) -> list[int]:
        return [read() for _ in range(count) for read in (time.monotonic_ns, time.time_ns)]

    _, logged = run(lambda: read_clocks(1))
    calls = [replace(call, value=str(int(call.value) + 3600 * 10**9)) for call in logged.log.calls]
    again, tape = run(lambda: read_clocks(3), ReplayLog({}, tuple(calls)))
    assert again[:2] == [int(call.value) for call in calls]
    assert len(tape.past_log) == 1
    for clock in (again[::2], again[1::2]):
        assert clock == sorted(set(clock))
        assert clock[-1] - clock[0] < 60 * 10**9


def test_loop_with_a_deadline_ends() -> None:
    def wait() -> int:
        end, reads = time.perf_counter() + 0.005, 0
        while time.perf_counter() < end:
            reads += 1
        return reads

    first, logged = run(wait)
    again, tape = run(wait, logged.log)
    assert (again, tape.past_log) == (first, ())


def run_threads() -> dict[str, list[str]]:
    """Threads that start threads; all call the same line, in any order."""
    ids: dict[str, list[str]] = {}

    def work(name: str, nested: bool) -> None:
        children = [threading.Thread(target=work, args=(f"{name}.{n}", False)) for n in range(2 * nested)]
        for child in children:
            child.start()
        for _ in range(3):
            time.sleep(random.SystemRandom().random() / 500)
            ids.setdefault(name, []).append(make_ids(1)[0])
        for child in children:
            child.join()

    threads = [threading.Thread(target=work, args=(str(n), True)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ids


def test_each_thread_gets_its_own_answers() -> None:
    before = list_patched()
    first, logged = run(run_threads)
    assert {c.thread for c in logged.log.calls} == {"1", "2", "3"} | {f"{a}.{b}" for a in "123" for b in "12"}
    for _ in range(3):
        again, tape = run(run_threads, write_and_read(logged.log))
        assert (again, tape.past_log) == (first, ())
    assert list_patched() == before


def test_threads_of_a_pool_share_answers() -> None:
    def run_pool(workers: int) -> list[str]:
        with ThreadPoolExecutor(workers) as pool:
            return sorted(pool.map(lambda n: make_ids(1)[0], range(40)))

    first, logged = run(lambda: run_pool(4))
    again, tape = run(lambda: run_pool(2), logged.log)
    assert (again, tape.past_log) == (first, ())


def test_suspended_run_continues() -> None:
    def run_twice(log: ReplayLog | None) -> tuple[list[Any], Tape]:
        tape, results = Tape(log, ROOT), []
        for _ in range(2):
            with intercept(tape):
                results.append([make_ids(1), draw()])
            if log is not None:  # while recording, draws outside would count
                draw()
        return results, tape

    first, logged = run_twice(None)
    again, tape = run_twice(logged.log)
    assert (again, tape.past_log) == (first, ())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_everything_is_restored_after_an_error(error: type[BaseException]) -> None:
    _, logged = run(draw)
    for log in (None, logged.log):
        before, states = list_patched(), digest([numpy_rng, python_rng, torch_rng])
        with pytest.raises(error), replay_tape(log):
            assert list_patched() != before
            raise error
        assert list_patched() == before
        assert digest([numpy_rng, python_rng, torch_rng]) == states


def take_inputs() -> list[Any]:
    return [
        *make_ids(1),
        random.Random().random(),
        np.random.default_rng().random(),
        dates.datetime.now(),
        time.time(),
    ]


def test_nested_contexts() -> None:
    before = list_patched()
    with pin_entropy(3), get_cause("clock").suspend(0), log_calls(find_all_targets()) as call_log:
        first, tape = run(take_inputs)
        assert run(take_inputs, tape.log)[0] == first
        with replay_tape(None), pin_entropy(3), get_cause("clock").suspend(0):
            inner = take_inputs()
        with replay_tape(tape.log), pin_entropy(3), get_cause("clock").suspend(0):
            assert take_inputs() == inner != first
    assert list_patched() == before
    assert {call.cause for call in call_log.calls} == {"os-entropy"}


def test_pin_between_runs_leaves_no_patches() -> None:
    before, first = list_patched(), []
    tape = Tape(None)
    with Pin(0) as pin:
        for _ in range(2):
            with log_calls(find_all_targets()):
                pin.prepare_run(RunSpec(Cell(), 0, 0), lambda: intercept(tape))
                pin.seed()
                first += make_ids(1)
                pin.end_run()
            assert list_patched() == before
    assert len(tape.log.calls) == len(first)


def test_logs_of_a_discarded_run_are_not_kept() -> None:
    replay = Replay()
    results = []
    for _ in range(4):
        replay.begin_run()
        with replay.intercept_block():
            results.append(make_ids(1))
        with replay.intercept_block():
            results[-1] += make_ids(2)
        if len(results) == 2:
            replay.keep_logs()
    assert results[0] != results[1] == results[2] == results[3]
    assert len({value for result in results for value in result}) == 6


def test_block_inside_a_replayed_run() -> None:
    replay = Replay(True)
    results = []
    for _ in range(2):
        make_context = replay.begin_run()
        assert make_context is not None
        with make_context():
            results.append(make_ids(1))
            with replay.intercept_block():
                results[-1] += make_ids(1)
            results[-1] += make_ids(1)
        replay.keep_logs()
    assert results[0] == results[1]
    assert len(replay.logs[WHOLE_RUN].calls) == 3


def test_call_over_several_lines_is_logged_as_one_line() -> None:
    _, tape = run(
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
def test_file_round_trip(logs: dict[str, ReplayLog]) -> None:
    assert read_logs(format_logs({name: encode_log(log) for name, log in logs.items()})) == logs


@given(st.dictionaries(WORDS, LOGS, min_size=1, max_size=2), st.data())
def test_truncated_file_is_refused(logs: dict[str, ReplayLog], data: st.DataObject) -> None:
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
def test_damaged_or_newer_file_is_refused(change: tuple[str, str]) -> None:
    assert read_logs(GOOD)
    with pytest.raises(ValueError) as caught:
        read_logs(GOOD.replace(*change))
    assert str(caught.value).startswith(DAMAGE[change])
