"""Makes the extra runs of one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from time import perf_counter

from pytest_repro.adapters import active_adapters
from pytest_repro.core.plan.plan import Deterministic, Plan
from pytest_repro.core.runs.run import Run, RunSummary
from pytest_repro.engine.runs.generator_states import DrawWatch
from pytest_repro.engine.runs.recording import Recording, RecordingBase
from pytest_repro.engine.runs.trial import RunResult
from pytest_repro.engine.sweep import summarize_run
from pytest_repro.plugin.config.settings import Settings
from pytest_repro.plugin.run.item_run import PhaseContext
from pytest_repro.plugin.run.item_runs import ItemRuns
from pytest_repro.plugin.run.outcome import (
    apply_teardown_outcome,
    classify_run,
    find_xfail_reason,
    locate_failure,
)
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.values.spill_store import SpillStore

_MEMORY_BUDGET = 256 * 2**20
"""Bytes of one run's values in memory; the rest goes to a temporary file."""


class ExtraRunner:
    """Makes runs of one test that are not compared."""

    def __init__(self, runs: ItemRuns, settings: Settings, progress: Progress) -> None:
        self._runs, self._runner = runs, runs.runner
        self.settings, self._progress = settings, progress

    @property
    def plan(self) -> Plan:
        """What the test asks for."""
        return self._runner.plan

    @property
    def reference(self) -> RunResult | None:
        """The run that others are compared with."""
        return self._runner.trial.reference

    @property
    def budgets(self) -> Mapping[str, Mapping[str, float]]:
        """Rules for recorded numbers over seeds."""
        return self._runner.extra_results.budgets

    @property
    def generators_used(self) -> bool:
        """Whether a run so far drew from a global generator, where that is tracked."""
        return self._runner.extra_results.generators_used

    @property
    def draw_watch(self) -> DrawWatch | None:
        """Draws of the reference run that nothing in the test had seeded; None if there was no such run."""
        return self._runner.extra_results.draw_watch

    @property
    def root(self) -> str:
        """Locations in reports are relative to this folder."""
        return str(self._runner.item.config.rootpath)

    @property
    def should_stop(self) -> bool:
        """Whether the session is to end."""
        session = self._runner.item.session
        return bool(session.shouldfail or session.shouldstop)

    def run(self, progress: str, seed: int, mode: Deterministic) -> tuple[Run, float]:
        """Makes one run; returns it and the seconds that its body took.

        Args:
            progress: What it is for, shown on the terminal.
            seed: Given to every generator.
            mode: Of deterministic algorithms.
        """
        result, seconds = self._run(progress, seed, mode)
        return result.run, seconds

    def run_watched(
        self, progress: str, seed: int, watch_phase: Callable[[bool], AbstractContextManager[None]]
    ) -> Run:
        """Makes one run with *seed*; *watch_phase* wraps its set-up (True) and its body (False)."""
        watch = lambda: watch_phase(not self._runner.current.body_started)  # noqa: E731
        return self._run(progress, seed, self.plan.deterministic, phase_context=watch)[0].run

    def run_compared_size(self, progress: str, seed: int) -> tuple[Run, RecordingBase]:
        """Makes one run with another *seed*, whose large values are hashed and not stored."""
        return self._run(progress, seed, self.plan.deterministic)[0]

    def run_and_summarize(
        self, progress: str, seed: int, mode: Deterministic, with_weights: bool = False
    ) -> RunSummary:
        """Makes one run and reads its numbers, predictions and, *with_weights*, its weights."""
        with SpillStore(_MEMORY_BUDGET) as store:
            result, seconds = self._run(
                progress, seed, mode, lambda: Recording(store, self.plan.tolerance_for())
            )
            summary = summarize_run(seed, result.run, seconds, result.recording, store, with_weights)
        return replace(
            summary,
            outcome=classify_run(result.run),
            xfail_reason=find_xfail_reason(self._runs.reports),
            location=locate_failure(result.run),
        )

    def summarize_reference(self) -> RunSummary | None:
        """The reference run, which stands for the test's own seed; None if its values are elsewhere."""
        if self.reference is None or not isinstance(self.reference.recording, Recording):
            return None
        run, recording = self.reference
        summary = summarize_run(self.plan.seed, run, run.seconds, recording, self._runner.trial.store)
        return replace(summary, outcome=classify_run(run), location=locate_failure(run))

    def _run(
        self,
        progress: str,
        seed: int,
        mode: Deterministic,
        make_recording: Callable[[], Recording] | None = None,
        phase_context: PhaseContext | None = None,
    ) -> tuple[RunResult, float]:
        trial, stopwatch = self._runner.trial, _Stopwatch()
        spec = trial.make_spec(trial.last_cell, trial.run_count)
        spec = replace(spec, seed=seed, deterministic=mode, compared=False)
        self._progress.show_if_long(progress)
        result = self._runs.run(
            spec, make_recording=make_recording, phase_context=phase_context or stopwatch.measure
        )
        run = apply_teardown_outcome(result.run, self._runs.reports)
        return result._replace(run=run), stopwatch.seconds


class _Stopwatch:
    """Times the phase it wraps last: the body, or the set-up where there is no body."""

    seconds = 0.0

    @contextmanager
    def measure(self) -> Iterator[None]:
        _synchronize()
        start = perf_counter()
        try:
            yield
            _synchronize()
        finally:
            self.seconds = perf_counter() - start


def _synchronize() -> None:
    for adapter in active_adapters().values():
        adapter.synchronize()
