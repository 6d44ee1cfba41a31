"""Finds the cause of a mismatch by experiments within a time limit: suspends one suspect after another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Experiment, ExperimentResult

ProgressCallback = Callable[[str], None]
"""Shows the user what is being done."""

DEFAULT_INTERPRETER = Interpreter(environ={"PYTHONHASHSEED": "1"}, name="hash seed 1, interpreter 1")
"""For experiments that need no particular interpreter."""

_MIN_TIMEOUT, _TIMEOUT_FACTOR = 20.0, 20.0
"""Seconds that any experiment may take, plus this multiple of the time of its runs: one that hangs
must leave time for others. The first may import torch._dynamo, 2.5 s on an idle machine."""


class ExperimentFailed(Exception):
    """An experiment could not be run; the message says why."""


class OutOfTime(ExperimentFailed):
    """No time is left for another experiment."""


class ExperimentTarget(Protocol):
    """A test or a function that can be run under an experiment.

    Attributes:
        fresh_processes: Whether each experiment starts in a process that has not computed yet.
    """

    fresh_processes: bool

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        """Starts *interpreters* in parallel, each within *seconds*, and does not wait for them."""

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        """Runs *experiment* within *seconds*, *seconds_left* with the start of the interpreter.

        Args:
            interpreter: Where to run it; None: one like this process.

        Raises:
            ExperimentFailed: It could not be run there.
        """


class ExperimentBudget:
    """Runs the experiments of one diagnosis until its time limit.

    Args:
        seconds: Time limit for all of them.
        run_seconds: Estimated time of one run.
    """

    def __init__(
        self, target: ExperimentTarget, seconds: float, run_seconds: float, show_progress: ProgressCallback
    ) -> None:
        self.fresh_processes = target.fresh_processes
        self._target, self._show_progress, self._seconds = target, show_progress, seconds
        self._deadline, self._run_seconds = time.monotonic() + seconds, run_seconds

    def start_interpreters(self, interpreters: Sequence[Interpreter]) -> None:
        self._show_progress(f"starting {len(interpreters)} interpreters")
        with self._end_at_deadline():
            self._target.start_interpreters(interpreters, self._get_seconds_left())

    def run_experiment(
        self, experiment: Experiment, purpose: str, interpreter: Interpreter | None = None
    ) -> ExperimentResult:
        """Runs *experiment*; shows the user its *purpose*, ``"clock suspended"``.

        Raises:
            OutOfTime: No time is left for it.
            ExperimentFailed: It could not be run.
        """
        seconds_left, run_seconds = self._get_seconds_left(), self._run_seconds * len(experiment.cells)
        if seconds_left <= run_seconds:
            raise self._make_out_of_time()
        self._show_progress(f"{purpose} ({seconds_left:.0f} s left)")
        timeout = min(seconds_left, _MIN_TIMEOUT + _TIMEOUT_FACTOR * run_seconds)
        with self._end_at_deadline():
            return self._target.run_experiment(experiment, interpreter, timeout, seconds_left)

    def _get_seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    @contextmanager
    def _end_at_deadline(self) -> Iterator[None]:
        """A failure of the block after the time limit counts as out of time."""
        try:
            yield
        except ExperimentFailed as error:
            if self._get_seconds_left() <= 0:
                raise self._make_out_of_time(error) from None
            raise

    def _make_out_of_time(self, reason: object = "") -> OutOfTime:
        limit = f"the time limit of {self._seconds:g} s was reached (repro_diagnose_seconds)"
        return OutOfTime(f"{limit}: {reason}" if reason else limit)

    def limit_runs(self, wanted: int) -> int:
        """The number of runs, at most *wanted*, that half of the time left allows; at least 2."""
        seconds = self._get_seconds_left() / 2
        return max(2, min(wanted, math.floor(seconds / max(self._run_seconds, 1e-3))))


_FALSE_POSITIVE_RATE = 0.0025
"""Probability of taking an innocent suspect for the cause: 2 % for about eight of them."""


def compute_required_runs(differing: int, runs: int) -> int:
    """The number of runs after which chance hardly explains that none differs.

    A few runs say little about how often runs differ. This uses the lowest rate at which so many still differ
    in one of ten cases: Wilson's lower bound (https://doi.org/10.1080/01621459.1927.10502953) at z = 1.28.

    Args:
        differing: Number of runs that differed from the first.
        runs: Number of runs after the first.
    """
    if differing >= runs:
        return 3
    rate, spread = differing / runs, 1.28**2 / runs
    deviation = math.sqrt(spread * (rate * (1 - rate) + spread / 4))
    lowest_rate = (rate + spread / 2 - deviation) / (1 + spread)
    return max(3, 1 + math.ceil(math.log(_FALSE_POSITIVE_RATE) / math.log1p(-lowest_rate)))


_BATCH_SIZES = (4, 4, 16, 64)


def repeat_until_differs(
    first: ExperimentResult, run_more: Callable[[int], ExperimentResult]
) -> tuple[int, int, int, frozenset[str]]:
    """Repeats a test in growing batches until it is known how often its runs differ.

    Args:
        first: The result of a first batch.
        run_more: Makes so many runs, or fewer if time is short.

    Returns:
        How many runs differed; of how many after the first; after how many chance hardly explains that none
        differs; and the different outcomes.
    """
    results = [first]
    for batch, size in enumerate(_BATCH_SIZES):
        differing, runs = _count_differing(results)
        # If all differ, the first run itself may be the rare one: takes three first runs. If some
        # differ, the rate takes 16 runs.
        if batch >= 2 if differing == runs else differing and runs >= 16:
            break
        results.append(run_more(size + 1))
    differing, runs = _count_differing(results)
    outlying, total = differing, runs
    if differing < runs:  # if some but not all runs of a batch differ from the first, it may be the outlier
        total = runs + len(results)
        outlying = sum(min(len(each.differing), each.run_count - len(each.differing)) for each in results)
    required_runs = compute_required_runs(outlying, total) if differing else 2
    outcomes = frozenset(outcome for result in results for outcome in result.outcomes)
    return differing, runs, required_runs, outcomes


def _count_differing(results: Sequence[ExperimentResult]) -> tuple[int, int]:
    """The number of runs that differ from the first of their batch, and of runs after the first."""
    return sum(len(result.differing) for result in results), sum(result.run_count - 1 for result in results)
