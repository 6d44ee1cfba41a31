"""One other interpreter: starts it, exchanges messages with it, ends it."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

import execnet

from pytest_repro import __version__
from pytest_repro.axes import Interpreter
from pytest_repro.companions.remote_main import BOOTSTRAP
from pytest_repro.companions.spawn import (
    fix_addresses,
    format_python_spec,
    limit_start,
    redirect_stderr,
    replace_environ,
)

# Frames in every dump of Python's fault handler: below the test, or on other threads.
_RUNNER_FRAMES = re.compile(
    r'File "[^"]*\W(_pytest|pluggy|execnet|pytest_repro)\W|File "<(remote exec|string)>"'
    r"|^Thread 0x|^Extension modules:|^$"
)

_TAIL_LINES = 12  # of its stderr to report when it is lost
_GRACE = 5.0  # seconds it has to exit by itself
_POLL_INTERVAL = 1.0  # seconds between two calls of the callback while waiting


class InterpreterLost(Exception):
    """A companion gave no answer; the message says which one, what it did, and how its stderr ends."""


class Companion:
    """Another interpreter that answers requests until it is ended.

    Args:
        order: What it does: ``"serve"`` names the module there whose ``serve(channel, order)``
            answers; the rest is for that.
        paths: ``sys.path`` of an interpreter of this installation.
        timeout: Seconds after which a companion that does not start or answer is abandoned.
        environ: What it starts in, before the interpreter's own variables; None for ``os.environ``.

    Raises:
        InterpreterLost: It could not be started.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        order: Mapping[str, Any],
        paths: Iterable[str],
        timeout: float,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.interpreter, self._timeout = interpreter, timeout
        self._stderr_file = tempfile.TemporaryFile(prefix="pytest-repro-")  # noqa: SIM115
        self._group = execnet.Group()
        # Tests run on the main thread: signals, and timeouts of other plugins, need that.
        flags = format_python_spec() if interpreter.local else ""
        spec = f"{interpreter.spec}{flags}//execmodel=main_thread_only"
        variables = {**(os.environ if environ is None else environ), **interpreter.environ}
        try:
            fixed = fix_addresses(interpreter.fixed_addresses)
            with replace_environ(variables), redirect_stderr(self._stderr_file), limit_start(timeout), fixed:
                self._gateway = self._group.makegateway(spec)
            self._channel: Any = self._gateway.remote_exec(BOOTSTRAP)
            self._channel.send([str(path) for path in paths] if interpreter.local else [])
            names = {"variables": sorted(variables)} if interpreter.local else {}
            self._channel.send({"version": __version__, **names, **order})
        except Exception as error:
            lost = self._make_lost_error(f"could not be started: {type(error).__name__}: {error}")
            self.kill()
            raise lost from None

    @property
    def name(self) -> str:
        return f"the companion for {self.interpreter.name}"

    def send(self, *message: Any) -> None:
        """Sends a request, without waiting; raises :class:`InterpreterLost` if it is gone."""
        try:
            self._channel.send(message)
        except OSError:
            raise self._make_died_error("") from None

    def receive(
        self, activity: str, timeout: float | None = None, on_wait: Callable[[], None] = lambda: None
    ) -> Any:
        """Waits for the next answer: a word and its arguments.

        Args:
            activity: What it does meanwhile, for the message: ``"while it ran the test"``.
            timeout: Seconds; None for the timeout of the companion.
            on_wait: Called each second while waiting.

        Raises:
            InterpreterLost: It died, raised, or gave no answer in time.
        """
        seconds = self._timeout if timeout is None else timeout
        try:
            answer = self._receive_within(seconds, on_wait)
        except self._channel.TimeoutError:
            raise self._make_lost_error(f"gave no answer within {seconds:.3g} s {activity}") from None
        except EOFError:
            raise self._make_died_error(activity) from None
        except self._channel.RemoteError as error:
            raise self._make_lost_error(f"failed {activity}:\n{_format_tail(error.formatted)}") from None
        if answer[0] == "refused":
            raise self._make_lost_error(answer[1])
        return answer

    def _receive_within(self, seconds: float, on_wait: Callable[[], None]) -> Any:
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > _POLL_INTERVAL:
            try:
                return self._channel.receive(_POLL_INTERVAL)
            except self._channel.TimeoutError:
                on_wait()
        return self._channel.receive(max(left, 0))

    def _make_died_error(self, activity: str) -> InterpreterLost:
        return self._make_lost_error(f"died {activity}{self._describe_exit()}".rstrip())

    def _make_lost_error(self, reason: str) -> InterpreterLost:
        self._stderr_file.seek(0)
        tail = format_stderr_tail(self._stderr_file.read().decode(errors="replace"))
        stderr = f"\nits last words on stderr:\n{tail}" if tail else ""
        return InterpreterLost(f"{self.name} {reason}{stderr}")

    def _describe_exit(self) -> str:
        try:
            status = self._popen.wait(timeout=2)
        except Exception:  # it was not started here, or still runs: only the connection ended
            return ""
        with suppress(ValueError):
            return f" (killed by {signal.Signals(-status).name})"
        return f" (exit status {status})"

    @property
    def _popen(self) -> Any:
        """Its process, if it was started here."""
        return getattr(getattr(getattr(self, "_gateway", None), "_io", None), "popen", None)

    def request_exit(self) -> None:
        """Asks it to exit, without waiting."""
        with suppress(InterpreterLost):
            self.send("finish")

    def join_or_kill(self) -> None:
        """Waits for its exit for some seconds, then kills it."""
        with suppress(Exception):
            self._channel.waitclose(_GRACE)
        self.kill()

    def kill(self) -> None:
        """Kills it and the processes that it started."""
        popen = self._popen
        if popen is not None and not self.has_ended():
            with suppress(OSError):
                os.killpg(popen.pid, signal.SIGKILL) if hasattr(os, "killpg") else popen.kill()
            with suppress(OSError):
                popen.kill()
        with suppress(Exception):
            self._group.terminate(timeout=1)
        self._stderr_file.close()

    def has_ended(self) -> bool:
        """Whether it has finished or is gone; its earlier answers can still be received."""
        channel = getattr(self, "_channel", None)
        return channel is not None and channel.isclosed()


def format_stderr_tail(text: str) -> str:
    """The last lines of *text*, or for a crash, the dump of the fault handler without our own frames."""
    lines = [line for line in text.strip().splitlines() if not _RUNNER_FRAMES.search(line)]
    fatal = [number for number, line in enumerate(lines) if line.startswith("Fatal Python error")]
    if fatal:  # with the lines right before: "terminate called after throwing …"
        lines = lines[max(0, fatal[-1] - 3) :][:_TAIL_LINES]
    return _format_tail("\n".join(lines))


def _format_tail(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-_TAIL_LINES:])
