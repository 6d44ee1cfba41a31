"""What one run of a test did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Outcome = Literal["passed", "failed", "skipped"]
RunState = Literal["ran", "absent", "lost"]


SUBTEST_ERROR = "subtest"
"""The ``error_type`` of a run whose body ended well, but for a subtest."""


class RecordedWarning(NamedTuple):
    """A warning that was given in a run.

    Attributes:
        category: Its class, as ``module.Name``.
        text: What it says.
        file: Where it was given.
        line: From 1.
    """

    category: str
    text: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a test did.

    Attributes:
        axis: What is varied between the runs; ``"repeat"``: nothing.
        value: The setting on that axis; for ``"repeat"`` the number of the run, from 0.
        outcome: What the body did; a value that differs does not make it ``"failed"``.
        seconds: Wall time of set-up, body and tear-down.
        observation_count: Number of values observed.
        error: ``"ValueError: …"`` of a failed run, the reason of a skipped one, else ``""``.
        error_type: Qualified name of the exception's type; two failures are the same when it is.
        traceback: The failure as text, for the one who must mend it.
        skipped_locals: Number of local values that could not be digested.
        setting: Axis → value, of every axis of the plan.
        repeat_of: Of a repeat away from the reference: the axis and value that it repeats.
        state: ``"absent"``: the value is not to be had here, *error* says why, and nothing ran;
            ``"lost"``: the run was begun elsewhere and gave no answer, *error* says why.
        drew_on_axis: Whether it asked generators that draw other numbers at other values of its axis.
        environment_diff: Of a run elsewhere: what could change a result and is not the same there, as name →
            here, there: ``{"numpy": ("2.4.6", "2.3.1")}``.
        past_log: Of a run that was fed from a log: where it asked for what is not in it, a sentence
            for each place.
        warnings: Of a run elsewhere: the warnings given in it.
        failed_check: Whether it failed by a check of this package, such as ``no_draws``: not by its seed.
        partly_skipped: Of a run in ranks that is skipped: whether a rank was not, and went on.
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
