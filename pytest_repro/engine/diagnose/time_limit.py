"""A time limit for experiments in this process, which nothing else can stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_repro.engine.diagnose import ExperimentFailed

_REPEAT_SECONDS = 1.0
"""A body that catches the exception is interrupted again after this time."""


class _TookTooLong(BaseException):
    """Interrupts a run; no ``except Exception`` of a test catches it."""


def can_limit_time() -> bool:
    """Whether :func:`time_limit` works: it needs the alarm of the main thread, which nobody else may use."""
    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and hasattr(signal, "setitimer")):
        return False
    is_free = signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN)
    return is_free and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupts the block after *seconds*, if :func:`can_limit_time`.

    Raises:
        ExperimentFailed: It took longer; what the block raises or returns then does not count.
    """
    if not can_limit_time():
        yield
        return
    expired = False

    def interrupt(*_: object) -> None:
        nonlocal expired
        expired = True
        raise _TookTooLong

    def report_unraisable(unraisable: Any) -> None:
        if unraisable.exc_type is not _TookTooLong:  # in a __del__, or a callback of the garbage collector
            report_before(unraisable)

    report_before, sys.unraisablehook = sys.unraisablehook, report_unraisable
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _REPEAT_SECONDS)
    try:
        yield
    except BaseException as error:
        if not expired or isinstance(error, KeyboardInterrupt):
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = report_before
    if expired:
        raise ExperimentFailed("took too long")
