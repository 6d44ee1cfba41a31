"""What one run of a test is to do, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pytest_repro.core.plan.plan import Cell, Deterministic

Outcome = Literal["passed", "failed", "skipped"]
SummaryOutcome = Outcome | Literal["xfailed"]
"""What a run did; ``"xfailed"``: its body called :func:`pytest.xfail`."""

SeedCheckOutcome = Literal["changed", "unchanged"]

SUBTEST_ERROR = "subtest"
"""The ``error_type`` of a run whose body passed except for a subtest."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run to make."""

    cell: Cell
    number: int  # from 0: ``repro.run``
    seed: int  # given to every generator, 0 … 2**32 - 1
    deterministic: Deterministic = True
    compared: bool = True  # whether it counts for the verdict; seed sweeps and other extra runs do not
    reported: bool = False  # whether pytest reports it: the last run of a test
    suspended: tuple[str, ...] = ()  # suspects that cannot act during the run
    traced: bool = False  # whether its ops are recorded


class RecordedWarning(NamedTuple):
    """A warning of a run."""

    category: str  # its class, as ``module.Name``
    text: str
    file: str  # path of the file that issued it
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
        not_compared: Local variables that are not compared, ``"loss (float)"``, and what to record instead,
            or why; ``""`` for what can be recorded as it is.
        setting: Axis → value, of every axis of the plan.
        repeat_of: Axis and value that a run other than the reference repeats.
        state: ``"absent"``: the value is unavailable on this machine, and nothing ran; ``"lost"``: the run
            started in another process and did not return. *error* says why.
        drew_on_axis: Whether it drew from generators that draw other numbers at other values of its axis.
        environment_diff: What differs in the environment of a run elsewhere, as name → value here, value
            there: ``{"numpy": ("2.4.6", "2.3.1")}``.
        past_log: A sentence for each place where a replayed run requested what is not in the log.
        warnings: Warnings of a run elsewhere.
        failed_check: What of this package failed, which no seed can fix: ``"diverged"`` or ``"unobserved"``
            for an assertion, ``"raised"`` for anything else.
        made_folders: Whether it made temporary folders of pytest, whose names are others in each run.
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
    not_compared: Mapping[str, str] = field(default_factory=dict)
    setting: Mapping[str, object] = field(default_factory=dict)
    repeat_of: tuple[str, object] | None = None
    state: Literal["ran", "absent", "lost"] = "ran"
    drew_on_axis: bool = False
    environment_diff: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    past_log: tuple[str, ...] = ()
    warnings: tuple[RecordedWarning, ...] = ()
    failed_check: Literal["", "diverged", "unobserved", "raised"] = ""
    made_folders: bool = False
    partly_skipped: bool = False


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run of a seed sweep, or of the noise matrix, showed; mappings are by recorded name.

    A failed run has the headlines and predictions that it recorded before it failed. The weights are the
    last steps of floating-point arrays in recorded modules, without running statistics; of all
    floating-point arrays if no module was recorded. They are empty if not requested.
    """

    seed: int
    outcome: SummaryOutcome
    error: str  # ``"ValueError: …"`` of a failed run, else ``""``
    seconds: float  # wall time of the body
    digest: str  # of everything observed
    headlines: Mapping[str, float]  # last step of values recorded as a real number
    predictions: Mapping[str, Any]  # last step of arrays of integers or bools, of any shape
    weights: Mapping[str, Any]
    steps: Mapping[str, int] = field(default_factory=dict)  # step, from 0, of each headline and prediction
    kinds: Mapping[str, str] = field(default_factory=dict)  # of directly recorded values that are no headline
    xfail_reason: str | None = None  # of the ``xfail`` marker that matches the failure
    location: str = ""  # ``"test_net.py:47"`` where a failed run broke


class SeedCheck(NamedTuple):
    """A run with another seed, compared with the reference run."""

    seed: int  # the other seed
    outcome: SeedCheckOutcome  # whether the outcome, or any bit of what was observed, changed
    drew_random: bool  # whether this run or an earlier one drew from a seeded generator
    has_observations: bool  # whether anything but the outcome could be compared
    reference: Run
    run: Run


class UnseededDraw(NamedTuple):
    """A line that draws from a global generator which nothing in the test has seeded."""

    generator: str  # the module that has it: ``"numpy"``
    location: str = ""  # ``"src/data.py:31"``; ``""`` if it is unknown
    via: str = ""  # the library function that the line calls; ``""`` if the line itself draws
    source: str = ""  # text of the line


class CostTimings(NamedTuple):
    """Seconds that the body of a test took, run by run, with determinism controls on and off in turn."""

    deterministic: tuple[float, ...]
    default: tuple[float, ...]
    error: str = ""  # why there are fewer runs than requested: one did not pass
