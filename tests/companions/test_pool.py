"""A pool of companions, on fakes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.pool import CompanionPool


class Fake:
    """A companion that logs what happens to it."""

    def __init__(self, name: str = "the fake", broken: bool = False) -> None:
        self.name, self.broken = name, broken
        self.log: list[str] = []

    def send(self, *message: object) -> None:
        if self.broken:
            raise InterpreterLost(f"{self.name} is gone")
        self.log.append(f"send {message[0]}")

    def request_exit(self) -> None:
        self.log.append("request_exit")

    def join_or_kill(self) -> None:
        self.log.append("join")

    def kill(self) -> None:
        self.log.append("kill")


class Starter:
    """Starts fakes, and keeps them; fails while *error* is set."""

    def __init__(self, error: str = "") -> None:
        self.started: list[Fake] = []
        self.error = error

    def __call__(self) -> Fake:
        self.started.append(Fake())
        if self.error:
            raise InterpreterLost(self.error)
        return self.started[-1]


Pool = CompanionPool[str, Fake]


def lose(pool: Pool, start: Callable[[], Fake], user: str = "", ready: bool = True) -> str:
    """Loses the companion of ``"a"``; the message of the error."""
    with pytest.raises(InterpreterLost) as lost, pool.using("a", start, user):
        if ready:
            pool.await_ready("a", lambda companion: None)
        raise InterpreterLost("it died")
    return str(lost.value)


def test_each_setting_has_one_companion_that_starts_on_first_use() -> None:
    pool, start = Pool(), Starter()
    assert start.started == []
    with pool.using("a", start) as first, pool.using("a", start) as again, pool.using("b", start) as other:
        assert first is again is not other
    assert len(start.started) == 2
    assert first.log == []


def test_the_first_message_is_received_once_per_start() -> None:
    pool, start, received = Pool(), Starter(), list[Fake]()
    for _ in range(2):
        with pool.using("a", start):
            pool.await_ready("a", received.append)
    assert received == start.started
    pool.drop("a")
    with pool.using("a", start):
        pool.await_ready("a", received.append)
    assert received == start.started
    assert [fake.log for fake in received] == [["kill"], []]


def test_a_setting_is_abandoned_after_losses_in_a_row() -> None:
    pool, start = Pool(max_losses=3), Starter()
    assert [lose(pool, start, f"test_{n}") for n in range(3)] == ["it died"] * 3
    assert [fake.log for fake in start.started] == [["kill"]] * 3
    told = "the fake was not started again: 3 were lost in a row, the last in test_2"
    for _ in range(2):
        with pytest.raises(InterpreterLost) as lost:
            pool.get("a", start)
        assert str(lost.value) == told
    assert len(start.started) == 3
    assert pool.get("b", start) is start.started[3]


def test_a_success_resets_the_count_of_losses() -> None:
    pool, start = Pool(max_losses=2), Starter()
    for _ in range(4):
        lose(pool, start)
        pool.confirm("a")
    lose(pool, start)
    lose(pool, start)
    with pytest.raises(InterpreterLost, match="2 were lost in a row"):
        pool.get("a", start)


@pytest.mark.parametrize(("retry", "count"), [(False, 1), (True, 2)])
def test_one_that_does_not_start_is_abandoned_unless_retried(retry: bool, count: int) -> None:
    pool, start = Pool(retry_start=retry), Starter("could not be started")
    for _ in range(2):
        with pytest.raises(InterpreterLost, match="could not be started"):
            pool.get("a", start)
    assert len(start.started) == count


@pytest.mark.parametrize(("retry", "count"), [(False, 1), (True, 5)])
def test_one_that_was_never_ready_is_abandoned_unless_retried(retry: bool, count: int) -> None:
    pool, start = Pool(max_losses=None, retry_start=retry), Starter()
    assert {lose(pool, start, ready=False) for _ in range(5)} == {"it died"}
    assert len(start.started) == count


def test_another_error_leaves_the_companion_running() -> None:
    pool, start = Pool(), Starter()
    with pytest.raises(ZeroDivisionError), pool.using("a", start):
        1 / 0
    assert pool.get("a", start) is start.started[0]
    assert start.started[0].log == []


def test_a_broadcast_reaches_those_that_are_ready_and_drops_the_lost() -> None:
    pool, start = Pool(), Starter()
    for key in "abc":
        with pool.using(key, start):
            if key != "b":
                pool.await_ready(key, lambda companion: None)
    start.started[2].broken = True
    pool.broadcast("end", None, 0)
    assert [fake.log for fake in start.started] == [["send end"], [], ["kill"]]
    assert pool.get("c", start) is start.started[3]  # a drop counts as no loss


@pytest.mark.parametrize(("immediately", "log"), [(True, ["kill"]), (False, ["request_exit", "join"])])
def test_all_are_ended(immediately: bool, log: list[str]) -> None:
    pool, start = Pool(), Starter()
    for key in "ab":
        pool.get(key, start)
    pool.close(immediately)
    pool.close(immediately)
    assert [fake.log for fake in start.started] == [log, log]
