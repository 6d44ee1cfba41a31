"""The processes of a group of ranks: torch's elastic launcher, and in each rank the main function."""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import sys
import threading
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import execnet

_ADDRESS_VARIABLE = "PYTEST_REPRO_RANKS"
"""The environment variable with the port of the session and the token of its ranks."""
_HEADER_SIZE = 8
"""Bytes of the length before each message."""
_PROGRAM = "import sys; sys.path[:] = {paths!r}; from {module} import main; main()"
_HIDDEN_FOLDERS = tuple(
    f"{os.sep}{name}{os.sep}" for name in ("_pytest", "pluggy", "pytest_repro", "pytest_timeout")
)


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Starts the ranks from a companion, waits until all have exited, reports how those that failed ended.

    Args:
        order: ``ranks``, their number; ``address``, of the session; ``paths``, their ``sys.path``;
            ``flags``, of their interpreter; ``logs``, the folder of their output.
    """
    try:
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import elastic_launch
    except ImportError as error:
        channel.send(("refused", f"needs torch.distributed: {error}"))
        return
    os.environ[_ADDRESS_VARIABLE] = order["address"]
    # As torchrun does: otherwise each rank uses all cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    program = _PROGRAM.format(paths=list(order["paths"]), module=__name__)
    try:
        elastic_launch(_make_launch_config(order), sys.executable)(*order["flags"], "-c", program)
    except ChildFailedError as error:
        channel.send(("failed", [_describe_failure(order["logs"], *each) for each in error.failures.items()]))


def _make_launch_config(order: Mapping[str, Any]) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.launcher.api import LaunchConfig

    # Port 0 is any free one. An address, since a machine may not resolve its own name.
    return LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=order["ranks"], run_id=uuid.uuid4().hex,
        rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="127.0.0.1", max_restarts=0,
        monitor_interval=0.1, logs_specs=DefaultLogsSpecs(order["logs"], Std.ALL),
    )  # fmt: skip


def _describe_failure(log_folder: str, rank: int, failure: Any) -> tuple[int, int, str, str]:
    """The rank, its exit status, the signal that killed it, and the end of its stderr."""
    from pytest_repro.companions.companion import format_stderr_tail

    signal_name = failure.signal_name() if failure.exitcode < 0 else ""
    files = Path(log_folder).glob(f"*/attempt_0/{rank}/stderr.log")
    stderr = "".join(file.read_text("utf-8", "replace") for file in files)
    return rank, failure.exitcode, str(signal_name), format_stderr_tail(stderr)


def main() -> None:
    """Connects to the session, receives an order, serves it, returns."""
    port, token = os.environ.pop(_ADDRESS_VARIABLE).split()
    connected = socket.create_connection(("127.0.0.1", int(port)))
    connected.sendall(token.encode())
    channel = RankChannel(SocketChannel(connected))
    channel.send(("here", int(os.environ["RANK"]), os.getpid()))
    order = channel.receive()
    sys.path[:], sys.argv[:] = order["paths"], order["argv"]
    os.chdir(order["chdir"])
    import_module(order["serve"]).serve(channel, order)
    channel.detach()


class SocketChannel:
    """One end of a socket; messages in execnet's serialization, which loads no objects and runs no code."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._send_lock = connection, threading.Lock()
        self.fileno, self.close = connection.fileno, connection.close
        # A fork of the rank (a DataLoader worker) would keep the connection open after its death.
        getattr(os, "register_at_fork", lambda **_: None)(after_in_child=connection.close)

    def send(self, message: Any) -> None:
        """Sends *message*; raises OSError if the other end is gone."""
        content = execnet.dumps(message)
        with self._send_lock:
            self._socket.sendall(len(content).to_bytes(_HEADER_SIZE, "little"))
            self._socket.sendall(content)

    def receive(self) -> Any:
        """The next message; raises EOFError if the other end is gone."""
        try:
            size = int.from_bytes(self._receive_exactly(_HEADER_SIZE), "little")
            return execnet.loads(self._receive_exactly(size))
        except OSError:
            raise EOFError from None

    def _receive_exactly(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            chunk = self._socket.recv(min(size - len(content), 2**20))
            if not chunk:
                raise EOFError
            content += chunk
        return bytes(content)


class RankChannel:
    """A rank's end of the connection to the session.

    A thread reads it, so that the rank notices the end of the session whatever the test does.
    """

    def __init__(self, channel: SocketChannel) -> None:
        self._channel, self._messages = channel, queue.SimpleQueue[Any]()
        self.send, self.receive = channel.send, self._messages.get
        self._attached = True
        threading.Thread(target=self._read_messages, daemon=True, name="pytest-repro").start()

    def detach(self) -> None:
        """Lets the process outlive the connection: it is about to exit."""
        self._attached = False

    def _read_messages(self) -> None:
        try:
            while True:
                message = self._channel.receive()
                if message == ("where",):
                    self._channel.send(("at", _format_main_thread_stack()))
                else:
                    self._messages.put(message)
        except (EOFError, OSError):
            if self._attached:
                _kill_process_group()


def _kill_process_group() -> None:
    """Kills this process and what it started; torch's launcher makes a rank lead its own session."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _format_main_thread_stack() -> str:
    """The innermost frames of the main thread, without those of pytest and of this package."""
    stack = traceback.extract_stack(sys._current_frames().get(threading.main_thread().ident or 0))
    files = [each for each in stack if not each.filename.startswith("<")]
    shown = [each for each in files if not any(part in each.filename for part in _HIDDEN_FOLDERS)]
    return "".join(traceback.format_list(shown[-6:])).rstrip()


class ProcessGroups:
    """Makes process groups one after the other, each under its own prefix in the launcher's store.

    With the prefix of an earlier group, a group would read its stale addresses. A group is ready once
    every rank has joined: a rank that leaves while another still connects breaks that one. A
    collective may take *timeout* seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._limit, self._count = timedelta(seconds=timeout), 0

    @contextmanager
    def init_process_group(self) -> Iterator[None]:
        """Initializes torch's default process group, for a block."""
        import torch.distributed as dist
        from torch.distributed.distributed_c10d import PrefixStore

        # Its logger writes every failed collective at DEBUG, whatever the level of the root logger.
        logger = getattr(import_module("torch.distributed.c10d_logger"), "_c10d_logger", None)
        if isinstance(logger, logging.Logger):
            logger.setLevel(logging.INFO)
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self._count += 1
        store = PrefixStore(f"pytest-repro {self._count}", self._store)
        backend = _choose_backend(size)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=self._limit)
        _barrier(store, size)
        try:
            yield
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    @cached_property
    def _store(self) -> Any:
        dist: Any = import_module("torch.distributed")  # it does not export TCPStore to type checkers
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        return dist.TCPStore(host, port, is_master=False, timeout=self._limit)


def _barrier(store: Any, size: int) -> None:
    """Waits until every rank has joined; through the store, since gloo's barrier needs them joined."""
    if store.add("here", 1) == size:
        store.set("all here", "")
    store.wait(["all here"])


def _choose_backend(size: int) -> str:
    """gloo on the CPU, and nccl on GPUs if there is one for each rank."""
    import torch

    if not torch.cuda.is_available() or torch.cuda.device_count() < size:
        return "gloo"
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return "cpu:gloo,cuda:nccl"
