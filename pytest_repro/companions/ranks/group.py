"""A group of ranks: started by torch's elastic launcher, asked together, waited for, ended."""

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
from types import MappingProxyType
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.ranks.socket_channel import SocketChannel

_GRACE = 5.0
_POLL_INTERVAL = 0.2
_LAUNCHER_GRACE = 15.0
"""Seconds that the others have once a rank has failed; between two looks whether the launcher lives;
that it has to end them, and to say how the first one ended."""

_TOKEN_LENGTH = 64


class Rank:
    """One rank, as the session knows it."""

    def __init__(self, channel: SocketChannel, number: int, pid: int, name: str) -> None:
        self.channel, self.number, self.pid = channel, number, pid
        self.interpreter = Interpreter(name=name)

    def send(self, *message: Any) -> None:
        """Asks it something.

        Raises:
            Lost: It is gone.
        """
        try:
            self.channel.send(message)
        except OSError:
            raise InterpreterLost(f"{self.interpreter.name} is gone") from None

    def receive(self, activity: str) -> Any:
        """Waits for its next answer.

        Raises:
            Lost: It is gone.
        """
        try:
            return self.channel.receive()
        except EOFError:
            raise InterpreterLost(f"{self.interpreter.name} died {activity}") from None


class RankGroup:
    """Ranks that serve as long as they are needed, each in an interpreter of its own.

    The launcher is a companion, which ends with the session. Its ranks lead sessions of their own,
    out of its reach: each ends by itself once its line to the session is closed.

    Args:
        orders: What each rank is to do; ``"serve"`` is the module there that does it.
        paths: ``sys.path`` of the ranks.
        environ: The environment they start in.
        timeout: Seconds after which a silent rank is given up.
        folder: Where their logs go; the system's temporary folder if ``""``.

    Raises:
        Lost: They could not be started.
    """

    _answers: Mapping[int, Any] = MappingProxyType({})

    def __init__(
        self, orders: Sequence[Mapping[str, Any]], paths: list[str], environ: Mapping[str, str],
        timeout: float, folder: str,
    ) -> None:  # fmt: skip
        self._timeout, self._size = timeout, len(orders)
        self.ranks: list[Rank] = []
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
            "serve": "pytest_repro.companions.ranks.elastic_launcher",
            "ranks": self._size, "logs": self._log_folder,
            "address": f"{server.getsockname()[1]} {self._token}", "paths": paths,
            "flags": list(getattr(subprocess, "_args_from_interpreter_flags", list)()),
        }  # fmt: skip
        called = f"{self._size} ranks"
        self._launcher = Companion(Interpreter(name=called), order, paths, self._timeout, environ)

    def _accept_ranks(self, server: socket.socket) -> None:
        """Waits until every rank has called."""
        server.settimeout(_POLL_INTERVAL)
        end, found = time.monotonic() + self._timeout, dict[int, Rank]()
        while len(found) < self._size:
            with suppress(TimeoutError):
                if (rank := self._authenticate(server.accept()[0])) is not None:
                    found[rank.number] = rank
            self.ranks = [found[number] for number in sorted(found)]
            self._check_launcher("while they were started", end)

    def _authenticate(self, connection: socket.socket) -> Rank | None:
        connection.settimeout(self._timeout)
        said = connection.recv(_TOKEN_LENGTH, socket.MSG_WAITALL)
        if not hmac.compare_digest(said, self._token.encode()):
            connection.close()
            return None
        line = SocketChannel(connection)
        _, number, pid = line.receive()
        return Rank(line, number, pid, f"rank {number} of {self._size}")

    def _check_launcher(self, activity: str, deadline: float) -> None:
        """Whether the launcher has something to say, which is never good, or the time is over."""
        assert self._launcher is not None
        if time.monotonic() > deadline:
            raise InterpreterLost(f"{self._size} ranks gave no answer within {self._timeout:g} s {activity}")
        if self._launcher.has_ended():
            raise self._make_died_error(None, activity)

    def broadcast(self, *message: Any) -> None:
        """Asks every rank the same, and does not wait."""
        for rank in self.ranks:
            with suppress(InterpreterLost):  # heard of when its answer is waited for
                rank.send(*message)

    def collect_answers(self, activity: str, is_failure: Callable[[Any], bool]) -> dict[int, Any]:
        """Waits for an answer of each rank; once one has failed, the others have seconds to give theirs.

        Args:
            activity: What they are doing, for the message: ``"while it ran the test"``.
            is_failure: Whether an answer tells of a failure.

        Raises:
            Lost: A rank died, or gave no answer in time: the group is of no use any more.
        """
        self._answers = found = dict[int, Any]()
        end = time.monotonic() + self._timeout
        while waited := [rank for rank in self.ranks if rank.number not in found]:
            lines = {rank.channel: rank for rank in waited}
            ready = select.select(list(lines), [], [], max(0.0, end - time.monotonic()))[0]
            if not ready and any(map(is_failure, found.values())):
                return found
            if not ready:
                raise self._make_timeout_error(waited, activity)
            for rank in map(lines.__getitem__, ready):
                found[rank.number] = said = self._receive_from(rank, activity)
                if is_failure(said):
                    end = min(end, time.monotonic() + _GRACE)
        return found

    def _receive_from(self, rank: Rank, activity: str) -> Any:
        try:
            said = rank.channel.receive()
        except EOFError:
            raise self._make_died_error(rank, activity) from None
        if said[0] == "refused":
            raise InterpreterLost(f"{rank.interpreter.name} {said[1]}")
        return said

    def _make_died_error(self, rank: Rank | None, activity: str) -> InterpreterLost:
        """How the first rank ended that did; by what the launcher saw of it."""
        assert self._launcher is not None
        try:
            _, ends = self._launcher.receive(activity, _LAUNCHER_GRACE)
        except InterpreterLost as lost:
            if rank is None:
                return lost
            if self._launcher.has_ended():
                return InterpreterLost(f"{rank.interpreter.name} died {activity}; how is not known: {lost}")
            return InterpreterLost(
                f"{rank.interpreter.name} ended {activity} (exit status 0)"
            )  # all else it tells
        first = next((end for end in ends if rank is None or end[0] == rank.number), ends[0])
        number, status, killed, words = first
        how = f"killed by {killed}" if killed else f"exit status {status}"
        said = f"\nits last words on stderr:\n{words}" if words else ""
        return InterpreterLost(f"rank {number} of {self._size} died {activity} ({how}){said}")

    def _make_timeout_error(self, silent_ranks: Sequence[Rank], activity: str) -> InterpreterLost:
        who = " and ".join(str(rank.number) for rank in silent_ranks)
        called = f"rank{'s' * (len(silent_ranks) > 1)} {who} of {self._size}"
        return InterpreterLost(
            f"{called} gave no answer within {self._timeout:g} s {activity}\n{self.describe_locations(silent_ranks)}"
        )

    def describe_locations(self, ranks: Sequence[Rank] = ()) -> str:
        """Where each of *ranks* is, or each of all, in a few lines."""
        return "\n".join(line for rank in ranks or self.ranks for line in self._describe_location(rank))

    def _describe_location(self, rank: Rank) -> Iterator[str]:
        """Where a silent rank is, by its own account."""
        if rank.number in self._answers:
            yield f"rank {rank.number} is through with it"
            return
        said: Any = ("", "")
        with suppress(InterpreterLost):
            rank.send("where")
            while said[0] != "at" and select.select([rank.channel], [], [], _GRACE)[0]:
                said = rank.receive("")
        known = said[0] == "at" and said[1]
        yield f"rank {rank.number} {'is at' if known else 'does not say where it is'}"
        yield from str(said[1]).splitlines() if known else ()

    def request_exit(self) -> None:
        """Asks every rank to end; what does not end by itself is ended by :meth:`kill`."""
        self.broadcast("finish")

    def join_or_kill(self) -> None:
        """Waits until all have ended, for seconds, then ends them."""
        end, waited = time.monotonic() + _GRACE, {rank.channel for rank in self.ranks}
        while waited and (left := end - time.monotonic()) > 0:
            for line in select.select(list(waited), [], [], left)[0]:
                with suppress(EOFError):
                    line.receive()
                    continue
                waited.remove(line)
        self.kill()

    def kill(self) -> None:
        """Ends every rank at once, and what they have started."""
        for rank in self.ranks:
            rank.channel.close()
            with suppress(OSError):
                os.killpg(rank.pid, signal.SIGKILL) if hasattr(os, "killpg") else None
        if self._launcher is not None:
            self._launcher.kill()
        shutil.rmtree(self._log_folder, ignore_errors=True)
