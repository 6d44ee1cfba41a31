"""All runs of a test but the last: rehearsals, extra runs, runs in other interpreters."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import pytest

from pytest_repro.core.runs.run import RunSpec
from pytest_repro.engine.runs.generator_states import DrawWatch
from pytest_repro.plugin.config.settings import Settings
from pytest_repro.plugin.extra_runs import ExtraRun, list_requested
from pytest_repro.plugin.extra_runs._runner import ExtraRunner
from pytest_repro.plugin.remote import OtherProcesses
from pytest_repro.plugin.run.item_run import PhaseContext
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.item_runs import ItemRuns
from pytest_repro.plugin.run.outcome import EXIT_EXCEPTIONS, is_skipped_by_mark
from pytest_repro.plugin.run.progress import Progress


class UnseenRuns:
    """Makes the runs of a test that pytest does not report.

    Args:
        settings: Of the session.
        progress: Shows which run is made.
        others: Make the runs in other interpreters.
    """

    def __init__(self, settings: Settings, progress: Progress, others: OtherProcesses) -> None:
        self._settings, self._progress, self._others = settings, progress, others
        self._is_shown_in_last_run = progress.is_below_output

    def make(self, runs: ItemRuns) -> None:
        """Makes all runs but the last, here and in other interpreters, then begins the last one."""
        runner, plan = runs.runner, runs.trial.plan
        extra_runs = list_requested(runner, self._settings)
        has_unseen = plan.runs > 1 or bool(extra_runs)
        has_remote = plan.runs > 1 and any(axis.remote and axis.values[1:] for axis in plan.vary)
        if has_remote:
            self._others.axis_companions.start_runs(runner)
        if has_unseen:
            self._rehearse(runs)
            if extra_runs and not _should_stop(runner.item):
                self._make_extra_runs(runs, extra_runs)
        self._begin_last_run(runner)
        if has_remote:
            self._others.axis_companions.receive_runs(runner)
        if has_unseen and self._progress.is_shown:
            self._progress.close()

    def _begin_last_run(self, runner: ItemRunner) -> None:
        trial = runner.trial
        spec = trial.make_spec(trial.last_cell, trial.run_count, reported=True)
        watch = (_locate_draws if spec.number else _watch_draws)(runner, self._settings)

        @contextmanager
        def wrap_phase() -> Iterator[None]:
            with self._progress.wrap_last_run(trial), (watch or nullcontext)():
                yield

        phase_context = wrap_phase if self._is_shown_in_last_run else watch
        runner.begin(self._add_tracing(spec), phase_context=phase_context)

    def _rehearse(self, runs: ItemRuns) -> None:
        runner, trial = runs.runner, runs.trial
        with runs.silence():
            for cell in trial.iter_rehearsals():
                if _should_stop(runner.item) or runner.is_abandoned:
                    return
                if self._progress.is_active:
                    self._progress.show_run(trial, cell)
                spec = trial.make_spec(cell, trial.run_count)
                watch = None if spec.number else _watch_draws(runner, self._settings)
                runs.run(self._add_tracing(spec), phase_context=watch)
                runner.finish_rehearsal(runs.reports)

    def _make_extra_runs(self, runs: ItemRuns, kinds: list[ExtraRun]) -> None:
        results, reference = runs.runner.extra_results, runs.trial.reference
        if reference is not None:
            results.reference_outcome = reference.run.outcome
            if reference.run.outcome == "skipped" and is_skipped_by_mark(reference.run):
                return
        extra_runner = ExtraRunner(runs, self._settings, self._progress)
        # Warnings of another seed or mode are dropped: those of the compared runs are shown.
        with runs.silence(on_warning=lambda kwargs: None):
            try:
                for kind in kinds:
                    if results.reference_outcome == "passed" or not kind.needs_passing_test:
                        result = kind.make(extra_runner)
                        if result is not None:
                            results.by_kind[kind.name] = result
            except EXIT_EXCEPTIONS:
                raise
            except Exception as error:  # of what the test recorded: the session goes on
                results.error = "".join(traceback.format_exception(error))

    def _add_tracing(self, spec: RunSpec) -> RunSpec:
        return replace(spec, traced=True) if self._settings.trace else spec


def _watch_draws(runner: ItemRunner, settings: Settings) -> PhaseContext | None:
    """Watches the next run for draws that nothing in the test has seeded; returns what wraps its phases.

    Not under replay, which replaces the functions that seed.
    """
    plan = runner.trial.plan
    if plan.ranks or settings.replay is not None:
        return None
    watch = runner.extra_results.draw_watch = DrawWatch(plan.seed)
    has_fixtures = bool({*getattr(runner.item, "fixturenames", ["?"])} - {"repro", "request"})

    def watch_phase() -> AbstractContextManager[None]:
        is_setup = not runner.current.body_started
        # Most tests have no fixture that could draw, and reading states costs 20 µs.
        if is_setup and not has_fixtures:
            return nullcontext()
        return watch.watch(is_setup, begins_run=is_setup or not has_fixtures)

    return watch_phase


def _locate_draws(runner: ItemRunner, settings: Settings) -> PhaseContext | None:
    """Looks in the last run for the lines of the draws that another run noticed, if a report has them."""
    results = runner.extra_results
    has_report = settings.json is not None or settings.html is not None
    if not has_report or results.draw_watch is None or "unseeded" in results.requests:
        return None
    if not results.draw_watch.libraries:
        return None
    from pytest_repro.engine.experiments.draw_lines import DrawLines

    lines = results.draw_lines = DrawLines(runner.plan.seed, results.draw_watch.libraries)
    return lambda: lines.watch_phase(not runner.current.body_started)


def _should_stop(item: pytest.Item) -> bool:
    return bool(item.session.shouldfail or item.session.shouldstop)
