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

_HEAD = 8
"""Bytes that tell how long a message is."""

_NOT_TOLD = tuple(
    f"{os.sep}{name}{os.sep}" for name in ("_pytest", "pluggy", "pytest_repro", "pytest_timeout")
)


class Line:
    """One end of it. What is sent is what execnet serialises: it builds no objects, so it runs no code."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket, self._sending = connected, threading.Lock()
        # A process that a rank forks (a DataLoader's worker) would hold the line open past its death.
        getattr(os, "register_at_fork", lambda **_: None)(after_in_child=connected.close)

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def send(self, message: Any) -> None:
        """Sends *message*.

        Raises:
            OSError: The other end is gone.
        """
        said = execnet.dumps(message)
        with self._sending:
            self._socket.sendall(len(said).to_bytes(_HEAD, "little"))
            self._socket.sendall(said)

    def receive(self) -> Any:
        """The next message.

        Raises:
            EOFError: The other end is gone.
        """
        try:
            return execnet.loads(self._exactly(int.from_bytes(self._exactly(_HEAD), "little")))
        except OSError:
            raise EOFError from None

    def _exactly(self, number: int) -> bytes:
        said = bytearray()
        while len(said) < number:
            piece = self._socket.recv(min(number - len(said), 2**20))
            if not piece:
                raise EOFError
            said += piece
        return bytes(said)

    def close(self) -> None:
        """Ends it: the other end hears of it."""
        self._socket.close()


class Channel:
    """A rank's end, read on a thread of its own: it hears when the session is gone, whatever the test does.

    Args:
        line: To the session.
    """

    def __init__(self, line: Line) -> None:
        self._line, self._said = line, queue.SimpleQueue[Any]()
        self._tied = True
        threading.Thread(target=self._read, daemon=True, name="pytest-repro").start()

    def send(self, message: Any) -> None:
        """Answers the session."""
        self._line.send(message)

    def receive(self) -> Any:
        """Waits for what the session says next."""
        return self._said.get()

    def let_go(self) -> None:
        """From now on the process may outlive the connection: it is about to end."""
        self._tied = False

    def _read(self) -> None:
        try:
            while True:
                said = self._line.receive()
                if said == ("where",):
                    self._line.send(("at", place()))
                else:
                    self._said.put(said)
        except (EOFError, OSError):
            if self._tied:
                end_at_once()


def end_at_once() -> None:
    """Ends this process, and what it has started: torch's launcher made it lead a session of its own."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def place() -> str:
    """Where the main thread is, as a traceback without the frames that called the test."""
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    stack = traceback.extract_stack(frame)
    shown = [each for each in stack if not any(part in each.filename for part in _NOT_TOLD)]
    inside = [each for each in shown if not each.filename.startswith("<")]
    return "".join(traceback.format_list(inside[-6:])).rstrip()
