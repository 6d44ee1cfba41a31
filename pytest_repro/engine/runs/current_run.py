"""The run in progress, for functions of the package that a test calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pytest_repro.core.runs.run import RunSpec
from pytest_repro.engine.runs.recording import Recording

T = TypeVar("T")


class CurrentRun(Protocol):
    """The run that a function of the package is called in.

    Attributes:
        spec: What is run.
        recording: What the test records into.
        used_axes: Axes that the test itself has applied.
    """

    spec: RunSpec
    recording: Recording
    used_axes: set[str]

    @property
    def record(self) -> Callable[[str, object], None]:
        """Records a named value."""


# A stack, not a ContextVar: threads, and tasks created before the test, do not inherit its context.
runs_in_progress: list[CurrentRun] = []
"""The last one is in progress; what runs a test adds it and takes it away."""


def get_current_run() -> CurrentRun | None:
    """The run in progress; None outside of marked tests."""
    return runs_in_progress[-1] if runs_in_progress else None


def choose_seed(seed: int | None) -> int:
    """*seed*, by default that of the run in progress, else 0."""
    run = get_current_run()
    return seed if seed is not None else run.spec.seed if run is not None else 0


def record_in_run(name: str, value: object) -> None:
    """Records *value* in the run in progress, if there is one."""
    if (run := get_current_run()) is not None:
        run.record(name, value)


def rename_in_run(value: Any) -> Any:
    """*value* as the run in progress would record it: with the names that all runs share."""
    return value if (run := get_current_run()) is None else run.recording.rename(value)


def note_assertion(name: str) -> None:
    """Notes that an assertion held: it is recorded as *name* if the test records nothing else."""
    if (run := get_current_run()) is not None:
        run.recording.note_assertion(name)


def shift_alignment(value: T) -> T:
    """A copy of a tensor or array, placed at this run's offset where the axis ``alignment`` is varied.

    Args:
        value: A dense tensor or a numpy array, of any shape and dtype.

    Raises:
        TypeError: *value* is neither.
    """
    from pytest_repro.axes.alignment import copy_at_offset

    run = get_current_run()
    if run is None:
        return copy_at_offset(value, 0)
    run.used_axes.add("alignment")
    offset: Any = run.spec.cell.setting.get("alignment", 0)
    return copy_at_offset(value, offset)
