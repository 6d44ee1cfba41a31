"""A limit for experiments that nothing else can stop."""

from __future__ import annotations

import gc
import signal
import sys
import time
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

from pytest_repro.engine.diagnose import ExperimentFailed
from pytest_repro.engine.diagnose.time_limit import can_limit_time, time_limit

pytestmark = pytest.mark.skipif(not can_limit_time(), reason="needs the alarm of the main thread")


def test_a_body_that_catches_errors_is_interrupted_and_the_alarm_is_free_again() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(ExperimentFailed, match=r"^took too long$"), time_limit(0.05):
        with suppress(Exception):
            time.sleep(60)
        raise AssertionError("was not interrupted")
    assert (signal.getsignal(signal.SIGALRM), can_limit_time()) == (before, True)


def test_a_block_that_swallows_the_interruption_does_not_count() -> None:
    with pytest.raises(ExperimentFailed), time_limit(0.05), suppress(BaseException):
        time.sleep(60)


def test_a_quick_block_and_its_errors_are_left_alone() -> None:
    with time_limit(60):
        pass
    with pytest.raises(ZeroDivisionError), time_limit(60):
        raise ZeroDivisionError
    with time_limit(60):
        assert not can_limit_time()  # somebody else, such as pytest-timeout, would wait for the same alarm


def test_an_interrupt_in_a_callback_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    def wait(phase: str, info: dict[str, int]) -> None:
        end = monotonic() + 0.2
        while monotonic() < end:
            pass

    gc.callbacks.append(wait)
    try:
        with pytest.raises(ExperimentFailed), time_limit(0.01):
            gc.collect()
    finally:
        gc.callbacks.remove(wait)
    assert reported == []
    assert sys.unraisablehook == reported.append
