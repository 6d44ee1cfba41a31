"""A connection between a session and one of its ranks: messages of plain data over a socket."""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
import traceback
from types import FrameType
from typing import Any

import execnet

_HEADER_SIZE = 8
"""Bytes of the length before each message."""

_HIDDEN_FOLDERS = tuple(
    f"{os.sep}{name}{os.sep}" for name in ("_pytest", "pluggy", "pytest_repro", "pytest_timeout")
)


class SocketChannel:
    """One end of a socket; messages in execnet's serialization, which loads no objects and runs no code."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._send_lock = connection, threading.Lock()
        # A fork of the rank (a DataLoader worker) would keep the connection open after its death.
        getattr(os, "register_at_fork", lambda **_: None)(after_in_child=connection.close)

    def fileno(self) -> int:
        """The file descriptor, for ``select``."""
        return self._socket.fileno()

    def send(self, message: Any) -> None:
        """Sends *message*.

        Raises:
            OSError: The other end is gone.
        """
        content = execnet.dumps(message)
        with self._send_lock:
            self._socket.sendall(len(content).to_bytes(_HEADER_SIZE, "little"))
            self._socket.sendall(content)

    def receive(self) -> Any:
        """The next message.

        Raises:
            EOFError: The other end is gone.
        """
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

    def close(self) -> None:
        """Closes it, which the other end notices."""
        self._socket.close()


class RankChannel:
    """A rank's end of the connection to the session.

    A thread reads it, so that the rank notices the end of the session whatever the test does.
    """

    def __init__(self, channel: SocketChannel) -> None:
        self._channel, self._messages = channel, queue.SimpleQueue[Any]()
        self._attached = True
        threading.Thread(target=self._read_messages, daemon=True, name="pytest-repro").start()

    def send(self, message: Any) -> None:
        """Sends *message* to the session."""
        self._channel.send(message)

    def receive(self) -> Any:
        """Waits for the next message of the session."""
        return self._messages.get()

    def detach(self) -> None:
        """Lets the process outlive the connection: it is about to exit."""
        self._attached = False

    def _read_messages(self) -> None:
        try:
            while True:
                message = self._channel.receive()
                if message == ("where",):
                    self._channel.send(("at", format_main_thread_stack()))
                else:
                    self._messages.put(message)
        except (EOFError, OSError):
            if self._attached:
                kill_process_group()


def kill_process_group() -> None:
    """Kills this process and what it started; torch's launcher makes a rank lead its own session."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def format_main_thread_stack() -> str:
    """The innermost frames of the main thread, without those of pytest and of this package."""
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    stack = traceback.extract_stack(frame)
    shown = [each for each in stack if not any(part in each.filename for part in _HIDDEN_FOLDERS)]
    inside = [each for each in shown if not each.filename.startswith("<")]
    return "".join(traceback.format_list(inside[-6:])).rstrip()
