"""The start of an interpreter: its flags, environment, stderr and time limit."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import IO, Any

from execnet import gateway_io

_EXCLUDED_FLAGS = {"-E", "-I", "-R"}  # they make an interpreter ignore PYTHONHASHSEED


def format_python_spec() -> str:
    """The flags of this interpreter (``-O``, ``-X dev``, ``-W error``) as part of an execnet spec."""
    own: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
    flags = [each for each in own if each not in _EXCLUDED_FLAGS and "//" not in each]
    return f"//python={shlex.join([sys.executable, *flags])}" if flags else ""


@contextmanager
def limit_start(seconds: float) -> Iterator[None]:
    """Kills what execnet starts in the block, and raises TimeoutError, if that takes longer than *seconds*.

    execnet has no time limit for the first message of an interpreter, but raises once that is gone.
    """
    started: list[Any] = []
    done, late = Event(), Event()
    real: Any = gateway_io.Popen2IOMaster

    class RecordedIO(real):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    def watch() -> None:
        if not done.wait(seconds):
            late.set()
            for each in started:
                each.kill()
                each.wait()

    watcher = Thread(target=watch, daemon=True)
    vars(gateway_io)["Popen2IOMaster"] = RecordedIO
    watcher.start()
    try:
        yield
    except Exception:
        for each in started:
            for close in (each.close_write, each.close_read):  # a gateway would do it, but there is none
                with suppress(OSError):  # it is gone
                    close()
        if not late.is_set():
            raise
    finally:
        vars(gateway_io)["Popen2IOMaster"] = real
        done.set()
        watcher.join()
    if late.is_set():  # some specs start without an error all the same
        raise TimeoutError(f"no answer within {seconds:.3g} s")


@contextmanager
def replace_environ(variables: Mapping[str, str]) -> Iterator[None]:
    """Processes started in the block inherit *variables*; execnet's ``env:`` would set them too late."""
    before = dict(os.environ)
    _set_environ(variables)
    try:
        yield
    finally:
        _set_environ(before)


def _set_environ(variables: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name not in variables]:
        del os.environ[name]
    os.environ.update({name: value for name, value in variables.items() if os.environ.get(name) != value})


_ADDR_NO_RANDOMIZE = 0x0040000
_READ_PERSONALITY = 0xFFFFFFFF


@contextmanager
def fix_addresses(wanted: bool = True) -> Iterator[None]:
    """Processes started in the block by this thread have no random addresses, if *wanted*: personality(2).

    Raises:
        OSError: The system has no such call, or does not allow it, as in some containers.
    """
    if not wanted:
        yield
        return
    import ctypes  # not needed by others

    personality = getattr(ctypes.CDLL(None), "personality", None) if sys.platform == "linux" else None
    before = personality(_READ_PERSONALITY) if personality else -1
    if before == -1 or personality is None or personality(before | _ADDR_NO_RANDOMIZE) == -1:
        raise OSError("addresses cannot be fixed: personality() is not available")
    try:
        yield
    finally:
        personality(before)


@contextmanager
def redirect_stderr(file: IO[bytes]) -> Iterator[None]:
    """Processes started in the block inherit *file* as their stderr."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
