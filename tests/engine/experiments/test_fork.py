"""Functions that run in forks leave nothing behind; failures are reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_repro.core.diagnose import Experiment, ExperimentResult, decode_result
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.engine.experiments import fork
from pytest_repro.engine.experiments.fork import ForkFailed, call_in_forks, run_in_forks

pytestmark = pytest.mark.skipif(not fork.FORK_AVAILABLE, reason="needs os.fork")
CELLS = tuple(Cell(REPEAT, number, {}) for number in range(3))
CALLS: list[int] = []


def count() -> bytes:
    CALLS.append(1)
    return str(len(CALLS)).encode()


def no_children() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def test_each_fork_starts_in_the_state_of_this_process() -> None:
    assert call_in_forks([count, count, count], 20) == [b"1", b"1", b"1"]
    assert CALLS == []
    assert no_children()


def test_forks_have_the_same_addresses_and_run_one_after_another() -> None:
    def read_address_and_time() -> bytes:
        return f"{id(object())} {time.monotonic()}".encode()

    rows = [answer.split() for answer in call_in_forks([read_address_and_time] * 3, 20)]
    assert len({address for address, _ in rows}) == 1
    assert rows == sorted(rows, key=lambda row: float(row[1]))


def test_large_answer() -> None:
    assert call_in_forks([lambda: b"x" * 3_000_000], 20) == [b"x" * 3_000_000]


def fail() -> bytes:
    raise ValueError("no such thing")


def leave() -> bytes:
    raise SystemExit(3)


def die() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def exit_process() -> bytes:
    os._exit(7)


def hang() -> bytes:
    time.sleep(60)
    return b""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fail, "ValueError: no such thing"),
        (leave, "SystemExit: 3"),
        (die, r"died \(SIGKILL\)"),
        (exit_process, "ended with status 7"),
        (hang, "took too long"),
    ],
)
def test_failure_is_reported_and_leaves_nothing_behind(function: Callable[[], bytes], message: str) -> None:
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with pytest.raises(ForkFailed, match=message):
        call_in_forks([count, function, hang], 0.5 if function is hang else 20)
    assert no_children()
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) == descriptors


def perform(experiment: Experiment) -> ExperimentResult:
    for _ in experiment.cells:
        CALLS.append(1)
    return ExperimentResult(len(experiment.cells), (1,) if len(CALLS) > 1 else (), str(len(CALLS)))


def test_runs_in_fresh_forks_do_not_see_changes_of_earlier_runs() -> None:
    together = decode_result(run_in_forks(perform, Experiment(CELLS), 20))
    assert (together.run_count, together.differing, together.reference_digest) == (3, (1,), "3")
    fresh = decode_result(run_in_forks(perform, Experiment(CELLS, fresh_forks=True), 20))
    assert (fresh.run_count, fresh.differing, fresh.reference_digest) == (3, (), "1")
    assert CALLS == []


def test_without_fork_experiments_run_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork, "FORK_AVAILABLE", False)
    monkeypatch.setattr(sys.modules[__name__], "CALLS", [])
    assert decode_result(run_in_forks(perform, Experiment(CELLS), 20)).reference_digest == "3"
    with pytest.raises(ForkFailed, match="ZeroDivisionError"):
        run_in_forks(lambda experiment: 1 // 0, Experiment(CELLS), 20)  # type: ignore[arg-type, return-value]


def test_imports_of_a_fork_are_preloaded(tmp_path: Path) -> None:
    """Only submodules of libraries that are imported already, and not the user's modules."""
    (tmp_path / "mine.py").write_text("")
    code = f"""
import sys, json
sys.path.insert(0, {str(tmp_path)!r})
import xml
from pytest_repro.core.diagnose import Experiment, ExperimentResult
from pytest_repro.engine.experiments.fork import run_in_forks
def perform(experiment):
    import mine, xml.dom.minidom, wave
    return ExperimentResult(1)
run_in_forks(perform, Experiment(()), 20)
print([name in sys.modules for name in ("xml.dom.minidom", "mine", "wave")])
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[True, False, False]"
