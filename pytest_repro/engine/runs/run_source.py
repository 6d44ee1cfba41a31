"""Who makes runs: of a test, of a function, here or in another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from pytest_repro.core.diagnose.finding import StateRoot
from pytest_repro.core.plan.run_spec import RunSpec
from pytest_repro.engine.runs.trial import RunResult, Trial

T = TypeVar("T")

BodyStartCallback = Callable[[], None]

MAX_ATTEMPTS = 4
"""Attempts at one run. A run in which a library is first imported does not count: its generators
were unseeded when the run began."""


class RunSource(Protocol):
    """Makes runs of one test or function.

    Attributes:
        trial: The runs so far.
    """

    trial: Trial

    def run(self, spec: RunSpec, on_body_start: BodyStartCallback | None = None) -> RunResult:
        """Makes one run; calls *on_body_start* just before its body begins."""

    def find_roots(self) -> Mapping[str, StateRoot]:
        """What belongs to the test and outlives a run, by name: fixtures, parameters, arguments."""


def run_until_settled(
    run_once: Callable[[], T], is_settled: Callable[[T], bool], max_attempts: int = MAX_ATTEMPTS
) -> T:
    """Calls *run_once* until its result *is_settled*, at most *max_attempts* times; returns the last one."""
    result = run_once()
    for _ in range(max_attempts - 1):
        if is_settled(result):
            break
        result = run_once()
    return result
