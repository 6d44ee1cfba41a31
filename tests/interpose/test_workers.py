"""What forked processes call is logged, and they get equal numbers in equal blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from pytest_repro.causes import find_all_targets, get_cause, suspended
from pytest_repro.interpose.call_log import log_calls

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def call_in_fork(function: Callable[[], object]) -> str:
    """What *function* returns in a forked process, as text."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write_end, str(function()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    text = os.read(read_end, 1000).decode()
    os.close(read_end)
    os.close(write_end)
    return text


def test_calls_of_forked_processes_are_logged() -> None:
    with log_calls(find_all_targets()) as log:
        os.getpid()  # of this process: no evidence
        for _ in range(2):
            call_in_fork(lambda: (time.time(), os.getpid()))
    found = {(call.display_name, call.cause, call.in_worker) for call in log.calls}
    assert {("time.time()", "clock", True), ("os.getpid()", "os-entropy", True)} <= found
    assert len({call.location for call in log.calls if call.in_worker}) == 1
    assert ("os.getpid()", "os-entropy", False) not in found
    explanation = get_cause("clock").explain(log.calls).explanation
    assert explanation.endswith(
        "; in a worker process: see worker_init_fn of the loader, or the initializer of the pool"
    )


def test_forked_processes_are_numbered() -> None:
    def read_ids() -> list[str]:
        with suspended(["os-entropy"], 0):
            assert os.getpid() == own_id
            return [call_in_fork(os.getpid) if n else call_in_fork(lambda: os.getpid()) for n in range(2)]

    own_id = os.getpid()
    first, second = read_ids(), read_ids()
    assert first == second
    assert len(set(first)) == 2
    assert str(own_id) not in first
    assert call_in_fork(lambda: os.getpid()) not in first
