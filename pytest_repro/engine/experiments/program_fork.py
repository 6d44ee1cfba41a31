"""A fork that imports the program and stays: its interpreter serves runs that import it, and others."""

from __future__ import annotations

import marshal
import os
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE, ForkFailed, read_answer, write_answer

_GRACE = 10.0
"""Seconds that the fork has to answer beyond the time limit of an experiment."""

_IMPORT_SECONDS = 60.0
"""Seconds that it has to import the program, unless the order says otherwise."""


def find_server(interpreter: Interpreter) -> tuple[Interpreter, str]:
    """The interpreter that is started for *interpreter*, and the word of a request for an experiment.

    Where fork is unavailable, each is its own.
    """
    if interpreter.forked_from is None or not FORK_AVAILABLE:
        return interpreter, "try"
    return interpreter.forked_from, "try_imported"


class ProgramFork:
    """Passes experiments on to a fork of this process, made for the first of them.

    The fork calls *serve*, which imports the program and answers as in an interpreter of its own.

    Args:
        serve: Imports a program and answers requests about it: ``serve(channel, order)``.
        order: For it.
    """

    def __init__(self, serve: Callable[[Any, Mapping[str, Any]], None], order: Mapping[str, Any]) -> None:
        self._serve, self._order = serve, order
        self._pid, self._requests, self._answers = 0, (0, 0), (0, 0)

    def run_experiment(self, text: str, seconds: float, *rest: Any) -> tuple[Any, ...]:
        """The answer of the fork to ``("try", text, seconds, …)``; ``("unknown", why)`` if it gives none."""
        if not FORK_AVAILABLE:
            return "unknown", "needs os.fork, which is unavailable on this machine"
        deadline = time.monotonic() + seconds + _GRACE
        try:
            if not self._pid:
                deadline += self._order.get("import_seconds", _IMPORT_SECONDS)
                self._start()
            with open(self._requests[1], "wb", closefd=False) as stream:
                marshal.dump(("try", text, seconds, *rest), stream)
            answer: tuple[Any, ...] = ("ready",)
            while answer[0] == "ready":  # the program is imported
                answer = marshal.loads(read_answer(self._answers[0], self._pid, deadline))
            return answer
        except (ForkFailed, OSError) as error:
            self.end()
            return "unknown", str(error)

    def _start(self) -> None:
        self._requests, self._answers = os.pipe(), os.pipe()
        time.sleep(0.01)  # lets the thread that receives messages finish the last one
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the thread that waits for messages
                self._pid = os.fork()
        except OSError:
            for end in (*self._requests, *self._answers):
                os.close(end)
            raise
        if not self._pid:
            os.close(self._requests[1])  # or the end of this process would not end the fork
            self._serve_and_exit()
        os.close(self._requests[0])

    def _serve_and_exit(self) -> None:
        """Serves until the parent is gone, and exits without unwinding its stack."""
        requests = open(self._requests[0], "rb")  # noqa: SIM115
        channel = SimpleNamespace(
            receive=lambda: marshal.load(requests),
            send=lambda message: write_answer(self._answers[1], b"+" + marshal.dumps(message)),
        )
        try:
            self._serve(channel, self._order)
        except EOFError:
            pass
        except BaseException as error:
            write_answer(self._answers[1], f"-{type(error).__name__}: {error}".encode(errors="replace"))
        finally:
            os._exit(0)

    def end(self) -> None:
        """Ends the fork; the next experiment makes another one."""
        if not self._pid:
            return
        with suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
        with suppress(OSError):
            os.waitpid(self._pid, 0)
        for end in (self._requests[1], *self._answers):
            os.close(end)
        self._pid = 0
