"""Suspensions report what they could not suspend."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from pytest_repro.causes import collect_not_suspended, get_cause, report_not_suspended
from pytest_repro.causes._serial import threads


def run_beside(works: Sequence[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for each in threads:
        each.start()
    for each in threads:
        each.join(5)


def heard(works: Sequence[Callable[[], object]]) -> list[str]:
    with collect_not_suspended() as found, get_cause("completion-order").suspend(0):
        run_beside(works)
    return [f"{cause}: {why}" for cause, why in found.items()]


def test_sequential_threads_are_suspended() -> None:
    assert heard([lambda: None, lambda: None]) == []


def test_threads_that_wait_for_each_other_are_reported() -> None:
    barrier = threading.Barrier(2)
    (said,) = heard([barrier.wait, barrier.wait])
    assert said.startswith("completion-order: threads wait for each other")


def test_timeout_is_reported() -> None:
    with collect_not_suspended() as found:
        threads.wait_for(time.sleep, [], 0.05)  # sleep() says None: it is never done
    reason = "a thread, process or task takes longer than 0.05 s and runs concurrently with others"
    assert found == {"completion-order": reason}


def test_each_collector_keeps_the_first_reason() -> None:
    with collect_not_suspended() as outer:
        report_not_suspended("clock", "first")
        with collect_not_suspended() as inner:
            report_not_suspended("clock", "second")
        with collect_not_suspended() as equal:
            report_not_suspended("clock", "first")
        report_not_suspended("os-entropy", "after")
    report_not_suspended("clock", "unheard")
    assert outer == {"clock": "first", "os-entropy": "after"}
    assert (inner, equal) == ({"clock": "second"}, {"clock": "first"})


@pytest.mark.skipif(not hasattr(os, "times"), reason="needs os.times")
def test_cpu_time_is_frozen_with_the_clock() -> None:
    resource = pytest.importorskip("resource")

    def looks() -> list[float]:
        with get_cause("clock").suspend(0):
            sum(range(200_000))
            return [os.times().user, os.times().elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_utime]

    assert looks() == looks()
