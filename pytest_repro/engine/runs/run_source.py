"""What makes runs: of a test or a function, here or in another process."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeVar

from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.runs.run import Outcome, Run, RunSpec
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.trial import RunResult, Trial

if TYPE_CHECKING:
    from pytest_repro.core.diagnose import StateRoot

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


def suspend(spec: RunSpec) -> AbstractContextManager[None]:
    """Keeps the suspects of *spec* from acting in the block."""
    if not spec.suspended:
        return nullcontext()
    from pytest_repro.causes import suspended

    return suspended(spec.suspended, spec.seed)


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


def make_run(
    cell: Cell,
    outcome: Outcome,
    seconds: float,
    recording: RecordingBase,
    error: BaseException | None,
    drew_on_axis: bool = False,
    past_log: tuple[str, ...] = (),
) -> Run:
    """The record of a run.

    Args:
        cell: The run's setting.
        outcome: What the body did.
        seconds: Wall time.
        recording: What it recorded.
        error: The exception that ended it.
        drew_on_axis: Whether it drew numbers that differ at other values of its axis.
        past_log: Where it asked for input that its replay log does not hold.
    """
    kind = type(error)
    return Run(
        cell.axis,
        cell.value,
        outcome,
        seconds,
        len(recording),
        error="" if error is None else str(error) if outcome == "skipped" else format_error_line(error),
        error_type=f"{kind.__module__}.{kind.__qualname__}" if error is not None else "",
        not_compared=recording.not_compared,
        setting=cell.setting,
        repeat_of=cell.repeat_of,
        drew_on_axis=drew_on_axis,
        past_log=past_log,
    )


def format_error_line(error: BaseException, width: int = 100) -> str:
    """*error* as ``ValueError: the first line of its message``, at most *width* characters."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    first = text.splitlines()[0].strip() if text else type(error).__name__
    return first if len(first) <= width else f"{first[: width - 1]}…"
