"""A group of ranks, played by threads: who is waited for, and what is said of who does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("execnet")

from pytest_repro.companions.companion import Companion, Lost
from pytest_repro.companions.group import Group, Rank
from pytest_repro.companions.line import Line

LIMIT = 0.3


class Played(Group):
    """Ranks that nobody has started."""

    def __init__(self, number: int) -> None:
        self._limit, self._size, self._launcher = LIMIT, number, None
        pairs = [socket.socketpair() for _ in range(number)]
        self.far = [Line(far) for _, far in pairs]
        self.ranks = [Rank(Line(near), n, 0, f"rank {n} of {number}") for n, (near, _) in enumerate(pairs)]

    def close(self) -> None:
        for line in (*self.far, *(rank.line for rank in self.ranks)):
            line.close()


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr("pytest_repro.companions.group._GRACE", LIMIT)
    found = Played(2)
    yield found
    found.close()


def broken(said: tuple[str, ...]) -> bool:
    return said == ("broke",)


def test_messages_come_whole_and_in_order(group: Played) -> None:
    near, far = group.ranks[0].line, group.far[0]
    said = [("run", 1, {"a": (None, True)}), ("piece", b"x" * 5_000_000), ("end", 0.5)]
    sending = threading.Thread(target=lambda: list(map(near.send, said)))
    sending.start()
    assert [far.receive() for _ in said] == said
    sending.join()
    near.close()
    with pytest.raises(EOFError):
        far.receive()


def test_every_rank_is_asked_and_waited_for(group: Played) -> None:
    group.ask("run", "test_a", 0)
    assert [line.receive() for line in group.far] == [("run", "test_a", 0)] * 2
    for number, line in reversed(list(enumerate(group.far))):
        line.send(("ran", number))
    assert group.answers("in the test", broken) == {0: ("ran", 0), 1: ("ran", 1)}


def test_once_a_rank_has_failed_the_others_are_not_waited_for(group: Played) -> None:
    group._limit = 60
    group.far[1].send(("broke",))
    assert group.answers("in the test", broken) == {1: ("broke",)}


def test_a_silent_rank_is_given_up_and_says_where_it_is(group: Played) -> None:
    group.far[0].send(("ran", 0))
    at = threading.Thread(target=lambda: group.far[1].send(("at", f"  {group.far[1].receive()}")))
    at.start()
    with pytest.raises(Lost) as lost:
        group.answers("in the test", broken)
    at.join()
    told = "rank 1 of 2 gave no answer within 0.3 s in the test\nrank 1 is at\n  ('where',)"
    assert str(lost.value) == told


def test_what_a_rank_has_said_already_does_not_hide_where_it_is(group: Played) -> None:
    group.far[0].send(("ran", 0))
    group.far[0].send(("at", "  here"))
    assert group.places() == "rank 0 is at\n  here\nrank 1 does not say where it is"


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ([(1, 3, "", "  its words")], "rank 1 of 2 died in the test (exit status 3)"),
        (
            [(0, 1, "", ""), (1, -9, "SIGKILL", "  its words")],
            "rank 1 of 2 died in the test (killed by SIGKILL)",
        ),
    ],
)
def test_of_a_rank_that_is_gone_the_launcher_says_how_it_ended(
    group: Played, ends: list[tuple[int, int, str, str]], says: str
) -> None:
    group._launcher = Launcher(ends)
    group.far[1].close()
    with pytest.raises(Lost) as lost:
        group.answers("in the test", broken)
    assert str(lost.value) == f"{says}\nits last words on stderr:\n  its words"


class Launcher(Companion):
    """Knows how ranks ended."""

    def __init__(self, ends: list[tuple[int, int, str, str]]) -> None:
        self._ends = ends

    def receive(
        self, doing: str, timeout: float | None = None, waiting: Callable[[], None] = lambda: None
    ) -> Any:
        return "failed", self._ends
