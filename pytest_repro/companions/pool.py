"""A pool of companions: starts each when it is first needed, and abandons settings that keep failing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from pytest_repro.companions.companion import InterpreterLost


class Member(Protocol):
    """What a pool keeps: a companion, or a group of ranks."""

    @property
    def name(self) -> str: ...
    def send(self, *message: Any) -> None: ...
    def request_exit(self) -> None: ...
    def join_or_kill(self) -> None: ...
    def kill(self) -> None: ...


Key = TypeVar("Key", bound=Hashable)
M = TypeVar("M", bound=Member)


class CompanionPool(Generic[Key, M]):
    """Companions by setting, each started when it is first needed.

    Args:
        max_losses: Companions that may be lost in a row before their setting is abandoned; None for any.
        retry_start: Whether to start a companion again that did not start, or was lost before it was
            ready. If not, its setting is abandoned: another start would fail likewise.
    """

    def __init__(self, max_losses: int | None = 3, retry_start: bool = False) -> None:
        self._max_losses, self._retry_start = max_losses, retry_start
        self._members: dict[Key, M] = {}
        self._ready: set[Key] = set()
        self._losses: Counter[Key] = Counter()
        self._reasons: dict[Key, str] = {}

    def get(self, key: Key, start: Callable[[], M]) -> M:
        """The companion of *key*, started by *start* unless it is running.

        Raises:
            InterpreterLost: It does not start, or the setting is abandoned.
        """
        if key in self._reasons:
            raise InterpreterLost(self._reasons[key])
        if key not in self._members:
            try:
                self._members[key] = start()
            except InterpreterLost as error:
                if not self._retry_start:
                    self._reasons[key] = str(error)
                raise
        return self._members[key]

    def get_running(self, key: Key) -> M:
        """The companion of *key*; raises :class:`InterpreterLost` if it does not run."""
        if key not in self._members:
            raise InterpreterLost("it was lost")
        return self._members[key]

    @contextmanager
    def using(self, key: Key, start: Callable[[], M], user: str = "") -> Iterator[M]:
        """As :meth:`get`, for a block that runs *user*; kills what that loses, and counts the loss."""
        member = self.get(key, start)
        try:
            yield member
        except InterpreterLost as error:
            self._count_loss(key, member, str(error), user)
            raise

    def await_ready(self, key: Key, receive: Callable[[M], object]) -> None:
        """Has *receive* wait for the first message of the companion of *key*, once per start."""
        if key not in self._ready:
            receive(self._members[key])
            self._ready.add(key)

    def confirm(self, key: Key) -> None:
        """Records that the companion of *key* did what it was asked: earlier losses no longer count."""
        self._losses.pop(key, None)

    def broadcast(self, *message: Any) -> None:
        """Sends *message* to each companion that is ready; drops those that are gone."""
        for key in list(self._ready):
            try:
                self._members[key].send(*message)
            except InterpreterLost:  # the next use starts another one
                self.drop(key)

    def drop(self, key: Key) -> None:
        """Kills the companion of *key*, if it runs, without counting a loss."""
        self._ready.discard(key)
        member = self._members.pop(key, None)
        if member is not None:
            member.kill()

    def close(self, immediately: bool = False) -> None:
        """Ends every companion, after some seconds to exit by itself unless *immediately*."""
        members = list(self._members.values())
        self._members.clear()
        self._ready.clear()
        if not immediately:
            for member in members:
                member.request_exit()
        for member in members:
            member.kill() if immediately else member.join_or_kill()

    def _count_loss(self, key: Key, member: M, reason: str, user: str) -> None:
        was_ready = key in self._ready
        self.drop(key)
        self._losses[key] += 1
        if not was_ready:
            if not self._retry_start:
                self._reasons[key] = reason
        elif self._losses[key] == self._max_losses:
            lost = f"{self._max_losses} were lost in a row" + (f", the last in {user}" if user else "")
            self._reasons[key] = f"{member.name} was not started again: {lost}"
