"""Experiments in forks that import the program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_repro.core.diagnose import (
    Experiment,
    ExperimentResult,
    decode_experiment,
    decode_result,
    encode_experiment,
    encode_result,
)
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from pytest_repro.engine.experiments.fresh_imports import serve_fresh_forks

pytestmark = pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Imports a program; each run in this process computes its number."""
    with ExitStack() as stack:
        stack.enter_context(order["import_setup"])
        _, text, _ = channel.receive()
        count = len(decode_experiment(text).cells)
        digests = tuple(f"run {number}" for number in range(count))
        outcome = f"in process {os.getpid()}"
        result = ExperimentResult(
            count, tuple(range(1, count)), digests[0], outcomes=(outcome,), digests=digests
        )
        channel.send(("tried", encode_result(result)))


@pytest.mark.parametrize(("fresh_forks", "processes"), [(False, 1), (True, 3)])
def test_runs_share_a_process_unless_each_asks_for_its_own(fresh_forks: bool, processes: int) -> None:
    experiment = Experiment((Cell(),) * 3, fresh_forks=fresh_forks)
    requests, replies = iter([("try", encode_experiment(experiment), 60.0), ("finish",)]), list[Any]()
    channel = SimpleNamespace(receive=requests.__next__, send=replies.append)
    serve_fresh_forks(serve, channel, {})
    [(word, answer)] = replies
    result = decode_result(answer)
    assert (word, result.run_count, len(result.outcomes)) == ("tried", 3, processes)
    assert result.digests == (("run 0",) * 3 if fresh_forks else ("run 0", "run 1", "run 2"))
