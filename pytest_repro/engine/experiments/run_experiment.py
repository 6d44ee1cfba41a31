"""Runs a test under an experiment: one run after the other, with some suspects suspended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from typing import TypeVar

from pytest_repro.causes import collect_not_suspended, find_all_targets
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.run_spec import RunSpec
from pytest_repro.core.runs.observation import ContentRef, Observation
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.line_steps import LineStep
from pytest_repro.core.trace.trace import Trace
from pytest_repro.engine.experiments.line_trace import trace_lines
from pytest_repro.engine.experiments.process_setup import shifted_heap
from pytest_repro.engine.experiments.process_state import StateFacts, capture_state
from pytest_repro.engine.experiments.state_diff import diff_states
from pytest_repro.engine.experiments.state_restore import StateRestorer
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.run_source import RunSource
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.interpose.call_log import log_calls
from pytest_repro.interpose.patch import pass_through
from pytest_repro.traces import trace
from pytest_repro.values.hashing import digest

T = TypeVar("T")

_MAX_CHANGES = 20


def run_experiment(source: RunSource, experiment: Experiment) -> ExperimentResult:
    """Runs the test as *experiment* specifies, and compares the runs by the plan of the trial."""
    with ExitStack() as stack:
        stack.enter_context(shifted_heap() if experiment.shift_heap else shifted_heap(0))
        stack.enter_context(pass_through(experiment.passthrough_lines))
        not_suspended = stack.enter_context(collect_not_suspended())
        result = _ExperimentRun(source, experiment).run()
        return replace(result, not_suspendable=tuple(not_suspended.items()))


class _ExperimentRun:
    def __init__(self, source: RunSource, experiment: Experiment) -> None:
        self._source, self._experiment = source, experiment
        self._calls: list[ExternalCall] = []
        self._states: list[StateFacts] = []
        self._traces: list[Trace] = []
        self._steps: list[list[LineStep]] = []
        self._first_digest, self._restorer = "", StateRestorer(experiment.restored_names)

    def run(self) -> ExperimentResult:
        start, number = perf_counter(), 0
        for number, cell in enumerate(self._experiment.cells):
            self._run_cell(cell, number)
            if (self._experiment.trace_ops or self._experiment.trace_lines) and self._find_differing():
                break
        return ExperimentResult(
            number + 1,
            self._find_differing(),
            self._first_digest,
            tuple(self._calls),
            self._find_changes(),
            _take_ends(self._traces),
            tuple(map(tuple, _take_ends(self._steps))),
            perf_counter() - start,
            self._list_outcomes(),
            restored_names=self._restorer.list_restored_names(),
        )

    def _run_cell(self, cell: Cell, number: int) -> None:
        if self._experiment.restored_names:
            self._restorer.restore() if number else self._restorer.visit_modules()
        with ExitStack() as stack:
            if self._experiment.log_calls and number == 0:
                log = stack.enter_context(log_calls(find_all_targets()))
                stack.callback(lambda: self._calls.extend(log.calls))
            if self._experiment.trace_ops:
                self._traces.append(stack.enter_context(trace(thorough=True)))
            if self._experiment.trace_lines:
                self._steps.append(stack.enter_context(trace_lines()))
            run, recording = self._source.run(self._make_spec(cell, number), self._on_body_start)
        if not number:
            self._first_digest = digest_run(run, recording)
        self._source.trial.add(run, recording)

    def _make_spec(self, cell: Cell, number: int) -> RunSpec:
        spec = self._source.trial.make_spec(cell, number)
        return replace(spec, suspended=self._experiment.suspended, traced=self._experiment.trace_ops)

    def _on_body_start(self) -> None:
        if self._experiment.restored_names and not self._source.trial.runs:
            self._restorer.visit_roots(self._source.find_roots())
        if self._experiment.diff_state and len(self._states) < 2:
            self._roots = self._source.find_roots()
            self._states.append(capture_state(self._roots))

    def _find_changes(self) -> tuple[Change, ...]:
        if len(self._states) < 2:
            return ()
        return tuple(diff_states(self._states[0], self._states[1], self._roots))[:_MAX_CHANGES]

    def _list_outcomes(self) -> tuple[str, ...]:
        runs = self._source.trial.runs
        return tuple(dict.fromkeys(f"{run.outcome} {run.error_type}".strip() for run in runs))

    def _find_differing(self) -> tuple[int, ...]:
        return find_differing_runs(self._source.trial)


def _take_ends(items: Sequence[T]) -> tuple[T, ...]:
    """The first and the last item, or the only one."""
    return (items[0], items[-1]) if len(items) > 1 else tuple(items)


def find_differing_runs(trial: Trial) -> tuple[int, ...]:
    """Numbers of the runs that differ from the first, by the plan of the trial."""
    differing = {(mismatch.axis, mismatch.value) for mismatch in trial.compute_verdict().mismatches}
    return tuple(n for n, run in enumerate(trial.runs) if (run.axis, run.value) in differing)


def digest_run(run: Run, recording: RecordingBase) -> str:
    """A digest of the outcome and observations of a run, equal in all processes."""
    rows = [f"{run.outcome} {run.error_type}", *map(_format_observation, recording.observations().values())]
    return digest("shown", [memoryview("\n".join(rows).encode("utf-8", "surrogatepass"))])


def _format_observation(observation: Observation) -> str:
    content = (
        observation.content.digest
        if isinstance(observation.content, ContentRef)
        else observation.content.hex()
    )
    return f"{observation.key} {observation.kind} {content}"
