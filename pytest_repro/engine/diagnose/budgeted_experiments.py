"""What is inquired into: a test, or a function, that can be tried again under an experiment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult

T = TypeVar("T")

ProgressCallback = Callable[[str], None]
"""Shows what is being done, where somebody is looking."""


DEFAULT_INTERPRETER = Interpreter(environ={"PYTHONHASHSEED": "1"}, name="hash seed 1, interpreter 1")
"""Where an experiment is made that needs no other interpreter than one like this."""


_MIN_TIMEOUT, _TIMEOUT_FACTOR = 20.0, 20.0
"""Seconds that any experiment may take, and how many times as long as its runs took by themselves: one
that hangs must leave time for others. The first of all may import torch._dynamo, 2.5 s without load."""


class ExperimentFailed(Exception):
    """An experiment could not be made; the message says why."""


class OutOfTime(ExperimentFailed):
    """There is no time left for another experiment."""


class ExperimentTarget(Protocol):
    """A test or a function.

    Attributes:
        fresh_processes: Whether each experiment begins in a process that has not computed yet.
    """

    fresh_processes: bool

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        """Starts *interpreters* that will be needed, beside each other, and does not wait.

        Args:
            interpreters: Which.
            seconds: How long each may take to start.
        """

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        """Makes the runs of *experiment*.

        Args:
            experiment: What is tried.
            interpreter: Where; None: in one like this process.
            seconds: How long it may take.
            seconds_left: How long it may take together with the start of what makes it.

        Raises:
            Untried: It could not be made there.
        """


class ExperimentBudget:
    """Makes the experiments of one inquiry, as long as there is time, and keeps count.

    Args:
        target: What is tried.
        seconds: The time for all of them.
        run_seconds: How long one run takes, as far as is known.
        show_progress: Shows what is being done.
    """

    def __init__(
        self, target: ExperimentTarget, seconds: float, run_seconds: float, show_progress: ProgressCallback
    ) -> None:
        self.fresh_processes = target.fresh_processes
        self._target, self._show_progress, self.seconds = target, show_progress, seconds
        self._deadline, self._run_seconds = time.monotonic() + seconds, run_seconds
        self.runs = 0

    def start_interpreters(self, interpreters: Sequence[Interpreter]) -> None:
        """Has *interpreters* started that will be needed."""
        self._show_progress(f"starting {len(interpreters)} interpreters")
        self._run_within_budget(
            lambda: self._target.start_interpreters(interpreters, self._get_seconds_left())
        )

    def run_experiment(
        self, experiment: Experiment, purpose: str, interpreter: Interpreter | None = None
    ) -> ExperimentResult:
        """Makes *experiment*.

        Args:
            experiment: What is tried.
            purpose: What it is for, to be shown: ``"clock frozen"``.
            interpreter: Where, if not in one like this process.

        Raises:
            Spent: There is no time left for it.
            Untried: It could not be made.
        """
        left, least = self._get_seconds_left(), self._run_seconds * len(experiment.cells)
        if left <= least:
            raise self._make_out_of_time()
        self._show_progress(f"{purpose} ({left:.0f} s left)")
        seconds = min(left, _MIN_TIMEOUT + _TIMEOUT_FACTOR * least)
        tried = self._run_within_budget(
            lambda: self._target.run_experiment(experiment, interpreter, seconds, left)
        )
        self.runs += tried.run_count
        return tried

    def _get_seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def _run_within_budget(self, work: Callable[[], T]) -> T:
        """What *work* gives; what it could not do because the time was over is called so."""
        try:
            return work()
        except ExperimentFailed as why:
            if self._get_seconds_left() <= 0:
                raise self._make_out_of_time(why) from None
            raise

    def _make_out_of_time(self, reason: object = "") -> OutOfTime:
        told = f"the {self.seconds:g} s for it were spent (repro_diagnose_seconds)"
        return OutOfTime(f"{told}: {reason}" if reason else told)

    def limit_runs(self, wanted: int) -> int:
        """How many of *wanted* runs there is time for, when half of the rest is kept."""
        left = self._get_seconds_left() / 2
        return max(2, min(wanted, math.floor(left / max(self._run_seconds, 1e-3))))


_FALSE_POSITIVE_RATE = 0.0025
"""Chance at which an innocent suspect may be taken for the cause: 2 % over about eight of them."""


def compute_required_runs(differing: int, runs: int) -> int:
    """Runs after which, if none differs, that is hardly chance.

    A few runs say little of how often they differ: what counts is the least share that would still
    show as many in one case of ten (the lower bound of Wilson, 1927, at z = 1.28).

    Args:
        differing: How many differed from the first.
        runs: Of how many, the first not counted.
    """
    if differing >= runs:
        return 3
    share = wilson_lower_bound(differing, runs)
    return max(3, 1 + math.ceil(math.log(_FALSE_POSITIVE_RATE) / math.log1p(-share)))


def wilson_lower_bound(differing: int, runs: int, z: float = 1.28) -> float:
    """Wilson's lower bound of a share, 0 … 1 (https://doi.org/10.1080/01621459.1927.10502953)."""
    share, spread = differing / runs, z * z / runs
    middle = share + spread / 2
    return (middle - math.sqrt(spread * (share * (1 - share) + spread / 4))) / (1 + spread)
