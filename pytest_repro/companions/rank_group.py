"""A group of ranks: torch's elastic launcher starts it; requests go to all ranks together."""

from __future__ import annotations

import hmac
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.rank_main import SocketChannel

_GRACE = 5.0  # seconds for the others to answer once a rank has failed, and for all to exit
_POLL_INTERVAL = 0.2  # seconds between two checks that the launcher is running
_LAUNCHER_GRACE = 15.0  # seconds for the launcher to end the ranks and report how the first one ended
_TOKEN_LENGTH = 64


class Rank(NamedTuple):
    """The session's end of one rank."""

    channel: SocketChannel
    number: int
    pid: int
    name: str

    def send(self, *message: Any) -> None:
        """Sends a request, without waiting; raises :class:`InterpreterLost` if it is gone."""
        try:
            self.channel.send(message)
        except OSError:
            raise InterpreterLost(f"{self.name} is gone") from None

    def receive(self, activity: str) -> Any:
        """Waits for its next answer; *activity*, what it does meanwhile, is for the message of a loss."""
        try:
            return self.channel.receive()
        except EOFError:
            raise InterpreterLost(f"{self.name} died {activity}") from None


class RankGroup:
    """Ranks that answer requests until they are ended, each in its own interpreter: one member of a pool.

    The launcher is a companion, which ends with this session. Its ranks lead sessions of their own,
    which it cannot kill: each exits by itself once its connection to the session is closed.

    Args:
        orders: What each rank does; ``"serve"`` names the module there.
        paths: ``sys.path`` of the ranks.
        timeout: Seconds after which a rank that does not answer is abandoned.
        folder: For their logs; ``""`` for the temporary folder of the system.

    Raises:
        InterpreterLost: They could not be started.
    """

    def __init__(
        self,
        orders: Sequence[Mapping[str, Any]],
        paths: list[str],
        environ: Mapping[str, str],
        timeout: float,
        folder: str,
    ) -> None:
        self._timeout, self._size = timeout, len(orders)
        self.name = f"{self._size} ranks"
        self.ranks: list[Rank] = []
        self._answers: dict[int, Any] = {}
        self._log_folder = tempfile.mkdtemp(prefix="ranks-", dir=folder or None)
        self._launcher: Companion | None = None
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                self._start(server, paths, environ)
                self._accept_ranks(server)
            for rank, order in zip(self.ranks, orders):
                rank.channel.send({**order, "paths": paths, "limit": timeout})
        except BaseException:
            self.kill()
            raise

    def _start(self, server: socket.socket, paths: list[str], environ: Mapping[str, str]) -> None:
        self._token = secrets.token_hex(_TOKEN_LENGTH // 2)
        order = {
            "serve": SocketChannel.__module__,
            "ranks": self._size,
            "logs": self._log_folder,
            "address": f"{server.getsockname()[1]} {self._token}",
            "paths": paths,
            "flags": list(getattr(subprocess, "_args_from_interpreter_flags", list)()),
        }
        self._launcher = Companion(Interpreter(name=self.name), order, paths, self._timeout, environ)

    def _accept_ranks(self, server: socket.socket) -> None:
        server.settimeout(_POLL_INTERVAL)
        deadline, connected = time.monotonic() + self._timeout, dict[int, Rank]()
        while len(connected) < self._size:
            with suppress(TimeoutError):
                if (rank := self._authenticate(server.accept()[0])) is not None:
                    connected[rank.number] = rank
            self.ranks = [connected[number] for number in sorted(connected)]
            activity = "while they were started"
            if time.monotonic() > deadline:
                raise InterpreterLost(f"{self.name} gave no answer within {self._timeout:g} s {activity}")
            if self._launcher is not None and self._launcher.has_ended():
                raise self._make_died_error(None, activity)

    def _authenticate(self, connection: socket.socket) -> Rank | None:
        connection.settimeout(self._timeout)
        token = connection.recv(_TOKEN_LENGTH, socket.MSG_WAITALL)
        if not hmac.compare_digest(token, self._token.encode()):
            connection.close()
            return None
        channel = SocketChannel(connection)
        _, number, pid = channel.receive()
        return Rank(channel, number, pid, f"rank {number} of {self._size}")

    def send(self, *message: Any) -> None:
        """Sends a request to every rank, without waiting."""
        for rank in self.ranks:
            with suppress(InterpreterLost):  # raised while waiting for its answer
                rank.send(*message)

    def collect_answers(self, activity: str, is_failure: Callable[[Any], bool]) -> dict[int, Any]:
        """Waits for the answer of every rank, by rank; once one has failed, only some seconds for the others.

        Args:
            activity: What they do meanwhile, for the message: ``"while it ran the test"``.
            is_failure: Whether an answer reports a failure.

        Raises:
            InterpreterLost: A rank died or gave no answer in time; the group is unusable.
        """
        self._answers = answers = dict[int, Any]()
        deadline = time.monotonic() + self._timeout
        while pending := [rank for rank in self.ranks if rank.number not in answers]:
            by_channel = {rank.channel: rank for rank in pending}
            ready = select.select(list(by_channel), [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                if any(map(is_failure, answers.values())):
                    break
                raise self._make_timeout_error(pending, activity)
            for rank in map(by_channel.__getitem__, ready):
                answers[rank.number] = answer = self._receive_from(rank, activity)
                if is_failure(answer):
                    deadline = min(deadline, time.monotonic() + _GRACE)
        return answers

    def _receive_from(self, rank: Rank, activity: str) -> Any:
        try:
            answer = rank.channel.receive()
        except EOFError:
            raise self._make_died_error(rank, activity) from None
        if answer[0] == "refused":
            raise InterpreterLost(f"{rank.name} {answer[1]}")
        return answer

    def _make_died_error(self, rank: Rank | None, activity: str) -> InterpreterLost:
        """The error for *rank*, or for the first that died, as the launcher reports it."""
        assert self._launcher is not None
        try:
            _, failures = self._launcher.receive(activity, _LAUNCHER_GRACE)
        except InterpreterLost as lost:
            if rank is None:
                return lost
            if self._launcher.has_ended():
                return InterpreterLost(f"{rank.name} died {activity} for an unknown reason: {lost}")
            return InterpreterLost(f"{rank.name} ended {activity} (exit status 0)")  # others are reported
        own = (failure for failure in failures if rank is None or failure[0] == rank.number)
        number, status, signal_name, tail = next(own, failures[0])
        ending = f"killed by {signal_name}" if signal_name else f"exit status {status}"
        stderr = f"\nits last words on stderr:\n{tail}" if tail else ""
        return InterpreterLost(f"rank {number} of {self._size} died {activity} ({ending}){stderr}")

    def _make_timeout_error(self, silent_ranks: Sequence[Rank], activity: str) -> InterpreterLost:
        numbers = " and ".join(str(rank.number) for rank in silent_ranks)
        name = f"rank{'s' * (len(silent_ranks) > 1)} {numbers} of {self._size}"
        reason = f"{name} gave no answer within {self._timeout:g} s {activity}"
        return InterpreterLost(f"{reason}\n{self.describe_locations(silent_ranks)}")

    def describe_locations(self, ranks: Sequence[Rank] = ()) -> str:
        """Where each of *ranks*, or of all ranks, is: a few lines for each."""
        return "\n".join(line for rank in ranks or self.ranks for line in self._describe_location(rank))

    def _describe_location(self, rank: Rank) -> Iterator[str]:
        if rank.number in self._answers:
            yield f"rank {rank.number} is done"
            return
        answer: Any = ("", "")
        with suppress(InterpreterLost):
            rank.send("where")
            while answer[0] != "at" and select.select([rank.channel], [], [], _GRACE)[0]:
                answer = rank.receive("")
        known = answer[0] == "at" and answer[1]
        yield f"rank {rank.number} {'is at' if known else 'does not report where it is'}"
        yield from str(answer[1]).splitlines() if known else ()

    def request_exit(self) -> None:
        self.send("finish")

    def join_or_kill(self) -> None:
        deadline, pending = time.monotonic() + _GRACE, {rank.channel for rank in self.ranks}
        while pending and (left := deadline - time.monotonic()) > 0:
            for channel in select.select(list(pending), [], [], left)[0]:
                try:
                    channel.receive()
                except EOFError:
                    pending.remove(channel)
        self.kill()

    def kill(self) -> None:
        for rank in self.ranks:
            rank.channel.close()
            with suppress(OSError):
                os.killpg(rank.pid, signal.SIGKILL) if hasattr(os, "killpg") else None
        if self._launcher is not None:
            self._launcher.kill()
        shutil.rmtree(self._log_folder, ignore_errors=True)
