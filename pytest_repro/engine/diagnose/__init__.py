"""Finds the cause of a mismatch by experiments within a time limit: suspends one suspect after another.

The first experiments run in the process that made the runs of the verdict (:mod:`.in_process`), those that it
cannot answer in forks of a companion.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Experiment, ExperimentResult, ExternalCall

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


class KnownCall(NamedTuple):
    """A call that is known to make runs of a test differ."""

    call: ExternalCall
    test: str  # without its parameters; ``""`` if unknown


@dataclass(frozen=True, slots=True)
class ThisProcess:
    """The process in which the test ran, where experiments need no other interpreter.

    Attributes:
        run_experiment: Runs an experiment within so many seconds, or raises :class:`ExperimentFailed`.
        digests: Of the runs of the verdict: equal for those that agree.
        differing_names: Of the recorded values that differ in them.
        known_calls: Calls that made runs of other tests of this session differ, the last one first.
        test: The test without its parameters; ``""`` if unknown.
        digests_by_hash_seed: Hash seed → digest of a run of the verdict in an interpreter with it.
    """

    run_experiment: Callable[[Experiment, float], ExperimentResult]
    digests: Sequence[str]
    known_calls: list[KnownCall] = field(default_factory=list)
    differing_names: tuple[str, ...] = ()
    test: str = ""
    digests_by_hash_seed: Mapping[str, str] = field(default_factory=dict)


class ExperimentTarget(Protocol):
    """A test or a function that can be run under an experiment.

    Attributes:
        fresh_processes: Whether each experiment starts in a process that has not computed yet.
    """

    fresh_processes: bool

    @property
    def this_process(self) -> ThisProcess | None:
        """Where experiments can run first; None if the test cannot run here again."""

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


_WALL_FACTOR = 4.0
"""Wall time that a diagnosis may take, as a multiple of its processor time: other programs slow it down."""


class ExperimentBudget:
    """Runs the experiments of one diagnosis until its time limit.

    Args:
        seconds: Limit of their processor time; their wall time may be four times as long.
        run_seconds: Estimated time of one run.

    Attributes:
        seconds: That limit.
        this_process: Where experiments can run first.
        runs_here: Whether they run there.
    """

    runs_here = False

    def __init__(
        self, target: ExperimentTarget, seconds: float, run_seconds: float, show_progress: ProgressCallback
    ) -> None:
        self.fresh_processes, self.this_process = target.fresh_processes, target.this_process
        self._target, self._show_progress, self.seconds = target, show_progress, seconds
        self._deadline, self._run_seconds = time.monotonic() + _WALL_FACTOR * seconds, run_seconds
        self._cpu_seconds, self._run_count = 0.0, 0

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
        self._show_progress(f"{purpose} ({self._get_cpu_left():.0f} s left)")
        imports = len(experiment.cells) if interpreter is not None and interpreter.imports_per_run else 1
        timeout = min(seconds_left, _MIN_TIMEOUT * imports + _TIMEOUT_FACTOR * run_seconds)
        with self._end_at_deadline():
            if self.runs_here and interpreter is None and self.this_process is not None:
                result = self.this_process.run_experiment(experiment, timeout)
            else:
                result = self._target.run_experiment(experiment, interpreter, timeout, seconds_left)
        self._cpu_seconds += result.cpu_seconds
        self._run_count += result.run_count
        return result

    def _get_seconds_left(self) -> float:
        """Of wall time; 0 if the processor time is used up."""
        return self._deadline - time.monotonic() if self._get_cpu_left() > 0 else 0.0

    def _get_cpu_left(self) -> float:
        return self.seconds - self._cpu_seconds

    @contextmanager
    def _end_at_deadline(self) -> Iterator[None]:
        """A failure of the block after the time limit counts as out of time, its wall time as spent."""
        start = time.monotonic()
        try:
            yield
        except ExperimentFailed as error:
            self._cpu_seconds += time.monotonic() - start
            if self._get_seconds_left() <= 0:
                raise self._make_out_of_time(error) from None
            raise

    def _make_out_of_time(self, reason: object = "") -> OutOfTime:
        limit = f"the time limit of {self.seconds:g} s was reached (repro_diagnose_seconds)"
        return OutOfTime(f"{limit}: {reason}" if reason else limit)

    def takes(self, runs: int) -> float:
        """Seconds that so many runs are expected to take."""
        return runs * self._run_seconds

    def limit_runs(self, wanted: int) -> int:
        """The number of runs, at most *wanted*, that half of the time left allows; at least 2."""
        cpu_of_run = self._cpu_seconds / self._run_count if self._run_count else self._run_seconds
        by_wall = self._get_seconds_left() / 2 / max(self._run_seconds, 1e-3)
        by_cpu = self._get_cpu_left() / 2 / max(cpu_of_run, 1e-3)
        return max(2, min(wanted, math.floor(min(by_wall, by_cpu))))
