"""What one run of a test did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Outcome = Literal["passed", "failed", "skipped"]
RunState = Literal["ran", "absent", "lost"]


SUBTEST_ERROR = "subtest"
"""The ``error_type`` of a run whose body passed except for a subtest."""


class RecordedWarning(NamedTuple):
    """A warning of a run.

    Attributes:
        category: Its class, as ``module.Name``.
        text: Its message.
        file: Path of the file that issued it.
        line: Line in that file, from 1.
    """

    category: str
    text: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a test did.

    Attributes:
        axis: What is varied; ``"repeat"`` if nothing is.
        value: Value on that axis; for ``"repeat"`` the number of the run, from 0.
        outcome: What the body did; a value that differs does not make it ``"failed"``.
        seconds: Wall time of setup, body and teardown.
        observation_count: Number of observed values.
        error: ``"ValueError: …"`` of a failed run, the reason of a skipped one, else ``""``.
        error_type: Qualified name of the exception's type; failures of one type are equal.
        traceback: The failure as text.
        skipped_locals: Number of local values that could not be digested.
        setting: Axis → value, of every axis of the plan.
        repeat_of: Axis and value that a run other than the reference repeats.
        state: ``"absent"``: the value is unavailable on this machine, and nothing ran; ``"lost"``: the run
            started in another process and did not return. *error* says why.
        drew_on_axis: Whether it drew from generators that draw other numbers at other values of its axis.
        environment_diff: What differs in the environment of a run elsewhere, as name → value here, value
            there: ``{"numpy": ("2.4.6", "2.3.1")}``.
        past_log: A sentence for each place where a replayed run requested what is not in the log.
        warnings: Warnings of a run elsewhere.
        failed_check: Whether a check of this package failed, such as ``no_draws``, which no seed can fix.
        partly_skipped: Whether some ranks of a skipped run were not skipped, and went on.
    """

    axis: str
    value: object
    outcome: Outcome
    seconds: float = 0.0
    observation_count: int = 0
    error: str = ""
    error_type: str = ""
    traceback: str = ""
    skipped_locals: int = 0
    setting: Mapping[str, object] = field(default_factory=dict)
    repeat_of: tuple[str, object] | None = None
    state: RunState = "ran"
    drew_on_axis: bool = False
    environment_diff: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    past_log: tuple[str, ...] = ()
    warnings: tuple[RecordedWarning, ...] = ()
    failed_check: bool = False
    partly_skipped: bool = False
