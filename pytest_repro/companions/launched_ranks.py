"""Connects the processes that a launcher such as torchrun has started: each runs the whole session.

Rank 0 listens at a port of its own, whose number the others read from the launcher's store. The messages
use neither the test's process group nor its keys in that store, and a rank that dies is noticed at once.
"""

from __future__ import annotations

import hmac
import os
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from typing import Any, NamedTuple

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.rank_main import SocketChannel

_TOKEN_LENGTH = 64
_END_GRACE = 15.0  # seconds to wait for the others at the end of a session in which one was lost


class LaunchedRanks:
    """This process and the other ranks.

    Args:
        rank: Of this process.
        size: How many there are.
        timeout: Seconds to wait for another rank.

    Attributes:
        rank, size, timeout: As given.
        loss: Why the ranks can no longer run tests together; ``""`` while they can.

    Raises:
        InterpreterLost: A rank did not connect.
    """

    def __init__(self, rank: int, size: int, timeout: float) -> None:
        self.rank, self.size = rank, size
        self.loss, self.timeout = "", timeout
        self._channels: dict[int, SocketChannel] = {}
        self._run_count = self._group_count = 0
        deadline = time.monotonic() + timeout
        try:
            self._accept(deadline) if self.rank == 0 else self._connect()
        except (OSError, RuntimeError) as error:  # torch's store raises DistStoreError, a RuntimeError
            raise InterpreterLost(f"{self.name(0)} cannot be reached: {error}") from None

    def begin_run(self) -> None:
        """Begins the next run, in which the test may make a process group of its own."""
        self._run_count, self._group_count = self._run_count + 1, 0

    @property
    def has_new_group(self) -> bool:
        """Whether the run has made a process group."""
        return self._group_count > 0

    def make_rendezvous(self, url: str, **options: Any) -> Iterator[Any]:
        """torch's rendezvous by the variables of a launcher, for ``env://``; each has keys of its own.

        torch gives the default group of a process the same keys each time: one that is made again would
        find stale addresses there.
        """
        dist: Any = import_module("torch.distributed")
        for store, *place in self._rendezvous(url, **options):
            self._group_count += 1
            yield dist.PrefixStore(f"pytest-repro {self._run_count} {self._group_count}", store), *place

    @contextmanager
    def patch_rendezvous(self) -> Iterator[None]:
        """Makes each process group of the block with keys of its own."""
        rendezvous: Any = import_module("torch.distributed.rendezvous")
        self._rendezvous = rendezvous._rendezvous_handlers["env"]
        rendezvous._rendezvous_handlers["env"] = self.make_rendezvous
        try:
            yield
        finally:
            rendezvous._rendezvous_handlers["env"] = self._rendezvous

    def name(self, rank: int) -> str:
        """``rank 1 of 2``."""
        return f"rank {rank} of {self.size}"

    def _open_store(self) -> Any:
        """The launcher's store, or that of rank 0 where the launcher has none."""
        dist: Any = import_module("torch.distributed")  # it does not export TCPStore to type checkers
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        is_host = self.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        store = dist.TCPStore(
            host, port, is_master=is_host, timeout=timedelta(seconds=self.timeout),
            wait_for_workers=False, multi_tenant=True,
        )  # fmt: skip
        return dist.PrefixStore(f"pytest-repro {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)

    def _accept(self, deadline: float) -> None:
        self._store, token = self._open_store(), secrets.token_hex(_TOKEN_LENGTH // 2)
        with socket.create_server((os.environ["MASTER_ADDR"], 0)) as server:
            self._store.set("address", f"{server.getsockname()[1]} {token}")
            while missing := sorted({*range(1, self.size)} - {*self._channels}):
                server.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    connection = server.accept()[0]
                except TimeoutError:
                    names = " and ".join(map(str, missing))
                    why = f"rank {names} did not connect within {self.timeout:g} s"
                    raise InterpreterLost(f"{why}: has it collected marked tests?") from None
                connection.settimeout(self.timeout)
                if hmac.compare_digest(connection.recv(_TOKEN_LENGTH, socket.MSG_WAITALL), token.encode()):
                    channel = SocketChannel(connection)
                    self._channels[channel.receive()] = channel

    def _connect(self) -> None:
        self._store = self._open_store()
        port, token = self._store.get("address").decode().split()
        connection = socket.create_connection((os.environ["MASTER_ADDR"], int(port)), self.timeout)
        connection.settimeout(self.timeout)
        connection.sendall(token.encode())
        self._channels[0] = SocketChannel(connection)
        self._channels[0].send(self.rank)

    def send(self, rank: int, message: Any) -> None:
        """Sends *message* to *rank*; one that is gone is noticed when its answer is awaited."""
        with suppress(OSError):
            self._channels[rank].send(message)

    def broadcast(self, message: Any) -> None:
        """Sends *message* from rank 0 to all others."""
        for rank in self._channels:
            self.send(rank, message)

    def collect(
        self, own: Any, activity: str, grace: float = 0.0, on_grace: Callable[[], None] | None = None
    ) -> dict[int, Any]:
        """What every rank has sent to rank 0, by rank, with *own*.

        Args:
            own: The message of rank 0.
            activity: What the others do meanwhile, for the message of a loss.
            grace: Seconds after which *on_grace* is called, once.
            on_grace: Frees ranks that wait for this one.

        Raises:
            InterpreterLost: A rank died, or sent nothing in time.
        """
        messages = {0: own}
        for rank in self._channels:
            messages[rank] = self.receive(rank, activity, grace, on_grace)
        return messages

    def receive(
        self, rank: int, activity: str, grace: float = 0.0, on_grace: Callable[[], None] | None = None
    ) -> Any:
        """The next message of *rank*; as :meth:`collect`."""
        channel = self._channels[rank]
        if on_grace is not None and not self._wait(channel, grace):
            on_grace()
        if not self._wait(channel, self.timeout):
            raise InterpreterLost(f"{self.name(rank)} gave no answer within {self.timeout:g} s {activity}")
        try:
            message = channel.receive()
        except EOFError:
            raise InterpreterLost(f"{self.name(rank)} ended {activity}") from None
        if message[0] == "lost":
            raise InterpreterLost(str(message[1]))
        return message

    def _wait(self, channel: SocketChannel, seconds: float) -> bool:
        return bool(select.select([channel], [], [], seconds)[0])

    def give_up(self, reason: str) -> None:
        """Notes that the ranks can no longer run together, and tells the others."""
        if not self.loss:
            self.loss = reason
            self.broadcast(("lost", reason))

    def end(self, reason: str) -> None:
        """Notes, as all other ranks do, that they can no longer run together."""
        self.loss = self.loss or reason

    def close(self) -> None:
        """Waits until all ranks are about to exit, then closes the connections.

        A launcher kills the others as soon as one has failed: rank 0 may still write its reports.
        """
        deadline = time.monotonic() + (_END_GRACE if self.loss else self.timeout)
        if self.rank:
            self.send(0, ("end",))
        for channel in self._channels.values():
            self._await_end(channel, deadline)
        self.broadcast(("end",))
        for channel in self._channels.values():
            channel.close()

    def _await_end(self, channel: SocketChannel, deadline: float) -> None:
        with suppress(EOFError, OSError):
            while (
                self._wait(channel, max(0.0, deadline - time.monotonic())) and channel.receive()[0] != "end"
            ):
                pass


class LaunchedRank(NamedTuple):
    """Another rank, for :func:`.fetch_value`."""

    ranks: LaunchedRanks
    rank: int

    def send(self, *message: Any) -> None:
        """Sends a request."""
        self.ranks.send(self.rank, message)

    def receive(self, activity: str) -> Any:
        """Its answer."""
        return self.ranks.receive(self.rank, activity)
