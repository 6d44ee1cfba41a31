"""Work done in forks leaves nothing behind, and what goes wrong there is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult, decode_result
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.engine.experiments import fork
from pytest_repro.engine.experiments.fork import ForkFailed, call_in_forks, run_in_forks

pytestmark = pytest.mark.skipif(not fork.FORK_AVAILABLE, reason="there is no fork here")
CELLS = tuple(Cell(REPEAT, number, {}) for number in range(3))
LEFT: list[int] = []


def count() -> bytes:
    LEFT.append(1)
    return str(len(LEFT)).encode()


def no_children() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def test_each_fork_begins_where_this_process_stands() -> None:
    assert call_in_forks([count, count, count], 20) == [b"1", b"1", b"1"]
    assert LEFT == []
    assert no_children()


def test_they_have_the_same_addresses_and_run_one_after_another() -> None:
    def seen() -> bytes:
        return f"{id(object())} {time.monotonic()}".encode()

    rows = [said.split() for said in call_in_forks([seen] * 3, 20)]
    assert len({address for address, _ in rows}) == 1
    assert rows == sorted(rows, key=lambda row: float(row[1]))


def test_an_answer_may_be_large() -> None:
    assert call_in_forks([lambda: b"x" * 3_000_000], 20) == [b"x" * 3_000_000]


def raises() -> bytes:
    raise ValueError("no such thing")


def leaves() -> bytes:
    raise SystemExit(3)


def dies() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def ends() -> bytes:
    os._exit(7)


def hangs() -> bytes:
    time.sleep(60)
    return b""


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (raises, "ValueError: no such thing"),
        (leaves, "SystemExit: 3"),
        (dies, r"died \(SIGKILL\)"),
        (ends, "ended with status 7"),
        (hangs, "took too long"),
    ],
)
def test_what_goes_wrong_in_one_is_told_and_nothing_stays(work: Callable[[], bytes], says: str) -> None:
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with pytest.raises(ForkFailed, match=says):
        call_in_forks([count, work, hangs], 0.5 if work is hangs else 20)
    assert no_children()
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) == descriptors


def performed(asked: Experiment) -> ExperimentResult:
    for _ in asked.cells:
        LEFT.append(1)
    return ExperimentResult(len(asked.cells), (1,) if len(LEFT) > 1 else (), str(len(LEFT)))


def test_runs_made_together_meet_what_the_last_has_left_and_runs_apart_do_not() -> None:
    together = decode_result(run_in_forks(performed, Experiment(CELLS), 20))
    assert (together.run_count, together.differing, together.reference_digest) == (3, (1,), "3")
    apart = decode_result(run_in_forks(performed, Experiment(CELLS, fresh_forks=True), 20))
    assert (apart.run_count, apart.differing, apart.reference_digest) == (3, (), "1")
    assert LEFT == []


def test_where_there_is_no_fork_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork, "FORK_AVAILABLE", False)
    monkeypatch.setattr(sys.modules[__name__], "LEFT", [])
    assert decode_result(run_in_forks(performed, Experiment(CELLS), 20)).reference_digest == "3"
    with pytest.raises(ForkFailed, match="ZeroDivisionError"):
        run_in_forks(lambda asked: 1 // 0, Experiment(CELLS), 20)  # type: ignore[arg-type, return-value]


def test_what_a_fork_has_imported_is_imported_once(tmp_path: Path) -> None:
    """Parts of libraries that are there already; not the user's own modules."""
    (tmp_path / "mine.py").write_text("")
    code = f"""
import sys, json
sys.path.insert(0, {str(tmp_path)!r})
import xml
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.engine.experiments.fork import run_in_forks
def perform(asked):
    import mine, xml.dom.minidom, wave
    return ExperimentResult(1)
run_in_forks(perform, Experiment(()), 20)
print([name in sys.modules for name in ("xml.dom.minidom", "mine", "wave")])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[True, False, False]"
