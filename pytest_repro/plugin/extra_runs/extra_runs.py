"""Runs of a test besides those that are compared: they come before the last one, and nobody sees them.

What they leave behind on the way meets the last run alone, as of a control run.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from pytest_repro.adapters import active_adapters
from pytest_repro.core.plan.plan import Deterministic, Plan
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.core.runs.run_summary import RunSummary
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.sweep.run_summary import summarize_run
from pytest_repro.plugin import peers
from pytest_repro.plugin.config.settings import Settings
from pytest_repro.plugin.run.outcome import (
    EXIT_EXCEPTIONS,
    apply_teardown_outcome,
    classify_run,
    find_xfail_reason,
    is_skipped_by_mark,
    locate_failure,
)
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.silence import silence
from pytest_repro.values.spill_store import SpillStore

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import ItemRunner

_MEMORY_BUDGET = 256 * 2**20
"""Bytes of one run's values in memory; the rest waits in a file for being read."""

RehearseFunction = Callable[["ItemRunner"], Sequence[pytest.TestReport]]


class ExtraRuns:
    """Makes them.

    Args:
        settings: What is asked.
        progress: Says which run is made.
    """

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._progress = progress
        # Fed from a log, they would draw and time what the log holds.
        self._is_replaying = settings.replay is not None
        self._cost = settings.cost and not self._is_replaying
        self._noise = 0 if self._is_replaying else settings.noise

    def should_run(self, plan: Plan) -> bool:
        """Whether a test of *plan* has any; runs in ranks are not recorded here, and make none."""
        return not plan.ranks and (self._cost or self._noise > 0 or self._should_sweep(plan))

    def _should_sweep(self, plan: Plan) -> bool:
        return bool(plan.seeds) and not self._is_replaying

    def run(self, runner: ItemRunner, rehearse: RehearseFunction) -> None:
        """Makes those of *runner*, whose rehearsals are done; of a test that fails its sweep alone."""
        reference = runner.trial.reference
        outcome = runner.extra_results.reference_outcome = (
            reference[0].outcome if reference is not None else "passed"
        )
        skipped = outcome == "skipped" and reference is not None and is_skipped_by_mark(reference[0])
        if not self.should_run(runner.plan) or skipped:
            return
        # Their warnings are of another seed or another mode: those of the runs that are compared are told.
        with (
            peers.wrap_rehearsals(runner.item),
            silence(runner.item, runner.note_subtest_report, lambda kwargs: None),
        ):
            try:
                self._run_all(runner, ExtraRunner(runner, rehearse, self._progress), outcome)
            except EXIT_EXCEPTIONS:
                raise
            except Exception as error:  # of what the test recorded: the session goes on
                runner.extra_results.error = "".join(traceback.format_exception(error))

    def _run_all(self, runner: ItemRunner, extra_runner: ExtraRunner, outcome: Outcome) -> None:
        """Makes them, and puts down what they say together."""
        if self._cost and outcome == "passed":
            from pytest_repro.plugin.extra_runs.cost import measure_cost

            runner.extra_results.cost = measure_cost(extra_runner)
        if self._should_sweep(runner.plan):
            from pytest_repro.plugin.extra_runs.sweep import run_sweep

            runner.extra_results.sweep = run_sweep(extra_runner)
        if self._noise and outcome == "passed":
            from pytest_repro.plugin.extra_runs.noise import run_noise_matrix

            runner.extra_results.noise = run_noise_matrix(extra_runner, self._noise)


class ExtraRunner:
    """Where one test is run besides.

    Attributes:
        runner: The test.
    """

    def __init__(self, runner: ItemRunner, rehearse: RehearseFunction, progress: Progress) -> None:
        self.runner, self._rehearse, self._progress = runner, rehearse, progress
        self._reports: Sequence[pytest.TestReport] = ()

    @property
    def should_stop(self) -> bool:
        """Whether the session is to end."""
        session = self.runner.item.session
        return bool(session.shouldfail or session.shouldstop)

    def run(self, purpose: str, seed: int, mode: Deterministic) -> tuple[Run, float]:
        """One run.

        Args:
            purpose: What it is for, to be shown.
            seed: Of its generators.
            mode: Of deterministic algorithms.

        Returns:
            Its record, and the seconds that its body took.
        """
        self._progress.show_if_long(purpose)
        act, watch = self.runner, _Stopwatch()
        with _pin_mode(act, mode), _time_phases(act, watch):
            act.prepare_run(act.trial.last_cell, seed=seed)
            self._reports = self._rehearse(act)
            run = apply_teardown_outcome(act.finish_run(self._reports), self._reports)
        return run, watch.seconds

    def run_and_summarize(
        self, purpose: str, seed: int, mode: Deterministic, with_weights: bool = False
    ) -> RunSummary:
        """One run, and what is told of it together with others; arguments as of :meth:`run`.

        Args:
            with_weights: Whether weights are read as well.
        """
        act = self.runner
        with SpillStore(_MEMORY_BUDGET) as shelf, _spill_values(act, shelf):
            run, seconds = self.run(purpose, seed, mode)
            found = summarize_run(seed, run, seconds, act.recording, shelf, with_weights)
        expects = find_xfail_reason(self._reports)
        return replace(found, outcome=classify_run(run), xfail_reason=expects, location=locate_failure(run))


@contextmanager
def _spill_values(runner: ItemRunner, store: SpillStore) -> Iterator[None]:
    """Puts the values of the runs of the block on *store*, where they can be read."""
    before = runner.extra_results.make_recording
    runner.extra_results.make_recording = lambda: Recording(store, runner.plan.tolerance_for())
    try:
        yield
    finally:
        runner.extra_results.make_recording = before


@contextmanager
def _pin_mode(runner: ItemRunner, mode: Deterministic) -> Iterator[None]:
    """Holds the runs of the block at *mode*, and what is held otherwise is as it was before."""
    before = runner.pin
    before.release()
    runner.pin = Pin(runner.plan.seed, mode)
    try:
        yield
    finally:
        runner.pin.release()
        runner.pin = before


@contextmanager
def _time_phases(runner: ItemRunner, stopwatch: _Stopwatch) -> Iterator[None]:
    before, runner.phase_context = runner.phase_context, stopwatch.measure
    try:
        yield
    finally:
        runner.phase_context = before


class _Stopwatch:
    """Measures what a run does: its set-up, then its body, so that the body's time is left."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def measure(self) -> Iterator[None]:
        _synchronize()
        begun = perf_counter()
        try:
            yield
            _synchronize()
        finally:
            self.seconds = perf_counter() - begun


def _synchronize() -> None:
    for adapter in active_adapters().values():
        adapter.synchronize()
