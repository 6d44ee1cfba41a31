"""The main function of a rank: connects to the session, serves, exits."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

from pytest_repro.companions.ranks.socket_channel import RankChannel, SocketChannel

ADDRESS_VARIABLE = "PYTEST_REPRO_RANKS"
"""The environment variable with the port of the session and the token of its ranks."""


def main() -> None:
    """Connects to the session, receives an order, serves it, returns."""
    port, token = os.environ.pop(ADDRESS_VARIABLE).split()
    connected = socket.create_connection(("127.0.0.1", int(port)))
    connected.sendall(token.encode())
    socket_channel = SocketChannel(connected)
    socket_channel.send(("here", int(os.environ["RANK"]), os.getpid()))
    channel = RankChannel(socket_channel)
    order = channel.receive()
    sys.path[:], sys.argv[:] = order["paths"], order["argv"]
    os.chdir(order["chdir"])
    import_module(order["serve"]).serve(channel, order)
    channel.detach()


class ProcessGroups:
    """Makes process groups one after the other, each under its own prefix in the launcher's store.

    With the prefix of an earlier group, a group would read its stale addresses. A group is ready once
    every rank has joined: a rank that leaves while another still connects breaks that one.

    Args:
        timeout: Seconds that a collective may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout, self._count = timeout, 0
        self._store: Any = None

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
        limit, self._count = timedelta(seconds=self._timeout), self._count + 1
        store = PrefixStore(f"pytest-repro {self._count}", self._get_store())
        dist.init_process_group(_choose_backend(size), store=store, rank=rank, world_size=size, timeout=limit)
        _barrier(store, size)
        try:
            yield
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    def _get_store(self) -> Any:
        if self._store is None:
            dist: Any = import_module("torch.distributed")  # it does not export TCPStore to type checkers
            host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
            self._store = dist.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=self._timeout))
        return self._store


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
