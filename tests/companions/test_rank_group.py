"""The error of a lost rank, by what its launcher reports."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.rank_group import Rank, RankGroup
from pytest_repro.companions.rank_main import SocketChannel


class Launcher:
    """A launcher that sends one answer or raises, and runs or has ended."""

    def __init__(self, said: Any, ended: bool) -> None:
        self._said, self.has_ended = said, lambda: ended

    def receive(self, doing: str, timeout: float) -> Any:
        if isinstance(self._said, InterpreterLost):
            raise self._said
        return self._said


@pytest.mark.parametrize(
    ("launcher", "told"),
    [
        (
            Launcher(("failed", [(0, -15, "SIGTERM", ""), (1, 3, "", "  boom")]), False),
            "rank 1 of 2 died in the test (exit status 3)\nits last words on stderr:\n  boom",
        ),
        (Launcher(InterpreterLost("silent"), False), "rank 1 of 2 ended in the test (exit status 0)"),
        (
            Launcher(InterpreterLost("the companion for 2 ranks died (killed)"), True),
            "rank 1 of 2 died in the test for an unknown reason: the companion for 2 ranks died (killed)",
        ),
    ],
)
def test_lost_rank_is_described_by_its_launcher(launcher: Any, told: str) -> None:
    here, there = socket.socketpair()
    group: Any = RankGroup.__new__(RankGroup)
    group._timeout, group._size, group._launcher = 5.0, 2, launcher
    group.ranks = [Rank(SocketChannel(here), 1, 0, "rank 1 of 2")]
    there.close()
    try:
        with pytest.raises(InterpreterLost) as lost:
            group.collect_answers("in the test", lambda said: False)
    finally:
        here.close()
    assert str(lost.value) == told
