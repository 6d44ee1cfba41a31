"""The verdict that follows from the runs of one test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.plot_data import PlotData
from pytest_repro.core.compare.sweep_comparison import SweepComparison
from pytest_repro.core.compare.table import TableDifference
from pytest_repro.core.plan.plan import REPEAT, Plan
from pytest_repro.core.runs.observation import Agreeing, LevelResult
from pytest_repro.core.runs.run import Run

if TYPE_CHECKING:
    from pytest_repro.core.diagnose import Finding
    from pytest_repro.core.trace.divergence import Divergence

BASELINE = "baseline"
"""The axis of mismatches between a run and a golden file."""

SHARD = "shard"
"""The axis of mismatches between two shards that ran one test: *repeat_of* names the first of them."""

VerdictOutcome = Literal[
    "reproduced", "diverged", "unobserved", "failed", "skipped", "no-baseline", "foreign-baseline"
]
VERDICT_OUTCOMES: tuple[str, ...] = get_args(VerdictOutcome)

WITHOUT_BASELINE: tuple[str, ...] = ("no-baseline", "foreign-baseline")
"""Verdicts of tests whose runs agree, but which have no entry that can be compared."""


class NotReproducible(AssertionError):
    """A test, a function or a block is not reproducible; the message says where its runs differ and how far.

    Attributes:
        verdict: What the runs did, and where they differ; without runs if there was nothing to run again.
    """

    def __init__(self, message: str, verdict: Verdict | None = None) -> None:
        super().__init__(message)
        self.verdict = verdict or Verdict("diverged", Plan(), ())

    def __reduce__(self) -> tuple[type[NotReproducible], tuple[str, Verdict]]:
        return type(self), (str(self), self.verdict)


class SeedUnusedWarning(UserWarning):
    """A test gave the same values with another seed: they may come from a cache.

    A test in which nothing is random says so:
    ``@pytest.mark.filterwarnings("ignore::pytest_repro.SeedUnusedWarning")``.
    """


class UnseededDrawWarning(UserWarning):
    """A test drew from a global generator that nothing in it had seeded."""


NotReproducible.__module__ = "pytest_repro"  # as users import it and tracebacks show it


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a test compares with its golden file."""

    path: str  # relative to where pytest was started
    environment_key: str  # of this environment
    stored_key: str = ""  # of the environment whose entry was compared; ``""`` if there is none
    environment_diff: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name → here, in the file
    differing: tuple[str, ...] = ()  # bits differ from another environment's, or beside a stored sweep
    uncompared: tuple[str, ...] = ()  # those that could not be compared within a tolerance
    options: str = ""  # what the command that writes the entry needs besides ``--repro-update``
    read_error: str = ""  # why the golden file cannot be read
    sweep: Mapping[str, SweepComparison] = field(default_factory=dict)  # by headline, if one is stored
    lacks_sweep: bool = False  # whether values are stored, and no sweep


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict that follows from the runs of one test.

    Attributes:
        outcome: ``reproduced``, ``diverged``, ``unobserved`` (nothing was observed, so nothing could be
            compared), ``failed`` (the same way in each run) or ``skipped``; ``no-baseline`` or
            ``foreign-baseline`` if the golden file has no entry, or only other values of another environment.
            None after a single run, which compares nothing.
        plan: What was requested.
        runs: What each run did, the reference run first.
        mismatches: Every value or outcome that differs from the reference run.
        uncounted: What was observed and does not count at the requested level.
        steps: Number of steps of each recorded series, by name, in the reference run.
        divergence: The first op that differs, if two runs that differ could be traced.
        causes: What made the runs differ, in the order in which it acts, if the cause was searched for.
        diagnosis_seconds: Wall time of that search.
        undiagnosed: Why the search was left out, if the session spent too much time on others; ``""`` if not.
        baseline: How the test compares with its golden file, if it has one.
        plots: What plots of the mismatches show, if plots were requested.
        level: Requested and reached level, if the plan requests one.
        agreeing: What agrees between values of an axis, if only parts of modules and objects do not.
        not_compared: Local variables of any run that are not compared, as in :class:`.Run`.
        tables: What differs in recorded tables by rows and columns, in the first run that differs.
        error: The exception of a ``failed`` function that :func:`pytest_repro.check` called.
    """

    outcome: VerdictOutcome | None
    plan: Plan
    runs: tuple[Run, ...]
    mismatches: tuple[Mismatch, ...] = ()
    steps: dict[str, int] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()
    divergence: Divergence | None = None
    causes: tuple[Finding, ...] = ()
    diagnosis_seconds: float = 0.0
    undiagnosed: str = ""
    baseline: Baseline | None = None
    plots: tuple[PlotData, ...] = ()
    level: LevelResult | None = None
    agreeing: Agreeing = ""
    not_compared: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[TableDifference, ...] = ()
    error: BaseException | None = field(default=None, compare=False)

    @property
    def cause(self) -> Finding | None:
        """The first of the causes."""
        return self.causes[0] if self.causes else None

    @property
    def reproduced(self) -> bool:
        """Whether all runs agree."""
        return self.outcome == "reproduced"

    @property
    def is_partial(self) -> bool:
        """Whether ``capture="strict"`` fails the test, because it compares only a part of its values."""
        return self.outcome == "unobserved" and self.plan.capture == "strict" and bool(self.not_compared)

    @property
    def seconds(self) -> float:
        """Wall time of all runs, without the diagnosis."""
        return sum(run.seconds for run in self.runs)


def judge_runs(runs: Sequence[Run], mismatches: Sequence[Mismatch]) -> VerdictOutcome | None:
    """The verdict of *runs* with *mismatches* between them; None after a single run.

    A run with another outcome makes the test ``diverged``, whatever it recorded. If every run failed, or was
    skipped, values recorded before that do not count, unless one of several ranks went on; a failed assertion
    of this package does. A lost run makes the test ``failed``. If only the reference value of every axis is
    available, the test is ``skipped``: nothing that it varies was compared.
    """
    ran = [run for run in runs if run.state == "ran"]
    if any(m.problem == "outcome" for m in mismatches):
        return "diverged"
    if ran[0].outcome == "failed":
        check = ran[0].failed_check
        return check if check in ("diverged", "unobserved") else "failed"
    if ran[0].outcome == "skipped" and not (mismatches and ran[0].partly_skipped):
        return "skipped"
    if mismatches:
        return "diverged"
    if any(run.state == "lost" for run in runs):
        return "failed"
    if len(ran) < 2:
        return None
    if not any(run.observation_count for run in ran):
        return "unobserved"
    only_reference = all(run.axis == REPEAT for run in ran) and any(run.state == "absent" for run in runs)
    return "skipped" if only_reference else "reproduced"
