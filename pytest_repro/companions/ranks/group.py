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
from pytest_repro.companions.companion import Companion, Lost
from pytest_repro.companions.ranks.socket_channel import Line

_GRACE = 5.0
_LOOK = 0.2
_LAUNCHER = 15.0
"""Seconds that the others have once a rank has failed; between two looks whether the launcher lives;
that it has to end them, and to say how the first one ended."""

_TOKEN = 64


class Rank:
    """One rank, as the session knows it."""

    def __init__(self, line: Line, number: int, pid: int, called: str) -> None:
        self.line, self.number, self.pid = line, number, pid
        self.interpreter = Interpreter(called=called)

    def send(self, *message: Any) -> None:
        """Asks it something.

        Raises:
            Lost: It is gone.
        """
        try:
            self.line.send(message)
        except OSError:
            raise Lost(f"{self.interpreter.called} is gone") from None

    def receive(self, doing: str) -> Any:
        """Waits for its next answer.

        Raises:
            Lost: It is gone.
        """
        try:
            return self.line.receive()
        except EOFError:
            raise Lost(f"{self.interpreter.called} died {doing}") from None


class Group:
    """Ranks that serve as long as they are needed, each in an interpreter of its own.

    The launcher is a companion, which ends with the session. Its ranks lead sessions of their own,
    out of its reach: each ends by itself once its line to the session is closed.

    Args:
        orders: What each rank is to do; ``"serve"`` is the module there that does it.
        paths: ``sys.path`` of the ranks.
        environ: The environment they start in.
        limit: Seconds after which a silent rank is given up.
        folder: Where their logs go; the system's temporary folder if ``""``.

    Raises:
        Lost: They could not be started.
    """

    _answered: Mapping[int, Any] = MappingProxyType({})

    def __init__(
        self, orders: Sequence[Mapping[str, Any]], paths: list[str], environ: Mapping[str, str],
        limit: float, folder: str,
    ) -> None:  # fmt: skip
        self._limit, self._size = limit, len(orders)
        self.ranks: list[Rank] = []
        self._logs = tempfile.mkdtemp(prefix="ranks-", dir=folder or None)
        self._launcher: Companion | None = None
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                self._start(server, paths, environ)
                self._meet(server)
            for rank, order in zip(self.ranks, orders):
                rank.line.send({**order, "paths": paths, "limit": limit})
        except BaseException:
            self.kill()
            raise

    def _start(self, server: socket.socket, paths: list[str], environ: Mapping[str, str]) -> None:
        self._token = secrets.token_hex(_TOKEN // 2)
        order = {
            "serve": "pytest_repro.companions.ranks.elastic_launcher",
            "ranks": self._size, "logs": self._logs,
            "address": f"{server.getsockname()[1]} {self._token}", "paths": paths,
            "flags": list(getattr(subprocess, "_args_from_interpreter_flags", list)()),
        }  # fmt: skip
        called = f"{self._size} ranks"
        self._launcher = Companion(Interpreter(called=called), order, paths, self._limit, environ)

    def _meet(self, server: socket.socket) -> None:
        """Waits until every rank has called."""
        server.settimeout(_LOOK)
        end, found = time.monotonic() + self._limit, dict[int, Rank]()
        while len(found) < self._size:
            with suppress(TimeoutError):
                if (rank := self._known(server.accept()[0])) is not None:
                    found[rank.number] = rank
            self.ranks = [found[number] for number in sorted(found)]
            self._look("while they were started", end)

    def _known(self, connected: socket.socket) -> Rank | None:
        connected.settimeout(self._limit)
        said = connected.recv(_TOKEN, socket.MSG_WAITALL)
        if not hmac.compare_digest(said, self._token.encode()):
            connected.close()
            return None
        line = Line(connected)
        _, number, pid = line.receive()
        return Rank(line, number, pid, f"rank {number} of {self._size}")

    def _look(self, doing: str, end: float) -> None:
        """Whether the launcher has something to say, which is never good, or the time is over."""
        assert self._launcher is not None
        if time.monotonic() > end:
            raise Lost(f"{self._size} ranks gave no answer within {self._limit:g} s {doing}")
        if self._launcher.ended():
            raise self._told(None, doing)

    def ask(self, *message: Any) -> None:
        """Asks every rank the same, and does not wait."""
        for rank in self.ranks:
            with suppress(Lost):  # heard of when its answer is waited for
                rank.send(*message)

    def answers(self, doing: str, failed: Callable[[Any], bool]) -> dict[int, Any]:
        """Waits for an answer of each rank; once one has failed, the others have seconds to give theirs.

        Args:
            doing: What they are doing, for the message: ``"while it ran the test"``.
            failed: Whether an answer tells of a failure.

        Raises:
            Lost: A rank died, or gave no answer in time: the group is of no use any more.
        """
        self._answered = found = dict[int, Any]()
        end = time.monotonic() + self._limit
        while waited := [rank for rank in self.ranks if rank.number not in found]:
            lines = {rank.line: rank for rank in waited}
            ready = select.select(list(lines), [], [], max(0.0, end - time.monotonic()))[0]
            if not ready and any(map(failed, found.values())):
                return found
            if not ready:
                raise self._hung(waited, doing)
            for rank in map(lines.__getitem__, ready):
                found[rank.number] = said = self._said(rank, doing)
                if failed(said):
                    end = min(end, time.monotonic() + _GRACE)
        return found

    def _said(self, rank: Rank, doing: str) -> Any:
        try:
            said = rank.line.receive()
        except EOFError:
            raise self._told(rank, doing) from None
        if said[0] == "refused":
            raise Lost(f"{rank.interpreter.called} {said[1]}")
        return said

    def _told(self, rank: Rank | None, doing: str) -> Lost:
        """How the first rank ended that did; by what the launcher saw of it."""
        assert self._launcher is not None
        try:
            _, ends = self._launcher.receive(doing, _LAUNCHER)
        except Lost as lost:
            if rank is None:
                return lost
            if self._launcher.ended():
                return Lost(f"{rank.interpreter.called} died {doing}; how is not known: {lost}")
            return Lost(f"{rank.interpreter.called} ended {doing} (exit status 0)")  # all else it tells
        first = next((end for end in ends if rank is None or end[0] == rank.number), ends[0])
        number, status, killed, words = first
        how = f"killed by {killed}" if killed else f"exit status {status}"
        said = f"\nits last words on stderr:\n{words}" if words else ""
        return Lost(f"rank {number} of {self._size} died {doing} ({how}){said}")

    def _hung(self, waited: Sequence[Rank], doing: str) -> Lost:
        who = " and ".join(str(rank.number) for rank in waited)
        called = f"rank{'s' * (len(waited) > 1)} {who} of {self._size}"
        return Lost(f"{called} gave no answer within {self._limit:g} s {doing}\n{self.places(waited)}")

    def places(self, ranks: Sequence[Rank] = ()) -> str:
        """Where each of *ranks* is, or each of all, in a few lines."""
        return "\n".join(line for rank in ranks or self.ranks for line in self._place(rank))

    def _place(self, rank: Rank) -> Iterator[str]:
        """Where a silent rank is, by its own account."""
        if rank.number in self._answered:
            yield f"rank {rank.number} is through with it"
            return
        said: Any = ("", "")
        with suppress(Lost):
            rank.send("where")
            while said[0] != "at" and select.select([rank.line], [], [], _GRACE)[0]:
                said = rank.receive("")
        known = said[0] == "at" and said[1]
        yield f"rank {rank.number} {'is at' if known else 'does not say where it is'}"
        yield from str(said[1]).splitlines() if known else ()

    def finish(self) -> None:
        """Asks every rank to end; what does not end by itself is ended by :meth:`kill`."""
        self.ask("finish")

    def end(self) -> None:
        """Waits until all have ended, for seconds, then ends them."""
        end, waited = time.monotonic() + _GRACE, {rank.line for rank in self.ranks}
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
            rank.line.close()
            with suppress(OSError):
                os.killpg(rank.pid, signal.SIGKILL) if hasattr(os, "killpg") else None
        if self._launcher is not None:
            self._launcher.kill()
        shutil.rmtree(self._logs, ignore_errors=True)
