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
"""Bytes that tell how long a message is."""

_HIDDEN_FOLDERS = tuple(
    f"{os.sep}{name}{os.sep}" for name in ("_pytest", "pluggy", "pytest_repro", "pytest_timeout")
)


class SocketChannel:
    """One end of it. What is sent is what execnet serialises: it builds no objects, so it runs no code."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._send_lock = connection, threading.Lock()
        # A process that a rank forks (a DataLoader's worker) would hold the line open past its death.
        getattr(os, "register_at_fork", lambda **_: None)(after_in_child=connection.close)

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def send(self, message: Any) -> None:
        """Sends *message*.

        Raises:
            OSError: The other end is gone.
        """
        said = execnet.dumps(message)
        with self._send_lock:
            self._socket.sendall(len(said).to_bytes(_HEADER_SIZE, "little"))
            self._socket.sendall(said)

    def receive(self) -> Any:
        """The next message.

        Raises:
            EOFError: The other end is gone.
        """
        try:
            return execnet.loads(
                self._receive_exactly(int.from_bytes(self._receive_exactly(_HEADER_SIZE), "little"))
            )
        except OSError:
            raise EOFError from None

    def _receive_exactly(self, size: int) -> bytes:
        said = bytearray()
        while len(said) < size:
            piece = self._socket.recv(min(size - len(said), 2**20))
            if not piece:
                raise EOFError
            said += piece
        return bytes(said)

    def close(self) -> None:
        """Ends it: the other end hears of it."""
        self._socket.close()


class RankChannel:
    """A rank's end, read on a thread of its own: it hears when the session is gone, whatever the test does.

    Args:
        channel: To the session.
    """

    def __init__(self, channel: SocketChannel) -> None:
        self._channel, self._messages = channel, queue.SimpleQueue[Any]()
        self._attached = True
        threading.Thread(target=self._read_messages, daemon=True, name="pytest-repro").start()

    def send(self, message: Any) -> None:
        """Answers the session."""
        self._channel.send(message)

    def receive(self) -> Any:
        """Waits for what the session says next."""
        return self._messages.get()

    def detach(self) -> None:
        """From now on the process may outlive the connection: it is about to end."""
        self._attached = False

    def _read_messages(self) -> None:
        try:
            while True:
                said = self._channel.receive()
                if said == ("where",):
                    self._channel.send(("at", format_main_thread_stack()))
                else:
                    self._messages.put(said)
        except (EOFError, OSError):
            if self._attached:
                kill_process_group()


def kill_process_group() -> None:
    """Ends this process, and what it has started: torch's launcher made it lead a session of its own."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def format_main_thread_stack() -> str:
    """Where the main thread is, as a traceback without the frames that called the test."""
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    stack = traceback.extract_stack(frame)
    shown = [each for each in stack if not any(part in each.filename for part in _HIDDEN_FOLDERS)]
    inside = [each for each in shown if not each.filename.startswith("<")]
    return "".join(traceback.format_list(inside[-6:])).rstrip()
