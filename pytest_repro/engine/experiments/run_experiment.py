"""Runs a test under an experiment: one run after the other, with some suspects suspended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from typing import TypeVar

from pytest_repro.causes import (
    collect_not_suspended,
    find_all_targets,
    find_targets,
    report_not_suspended,
    split_suspect,
)
from pytest_repro.causes.shared_state import leave_out_calls
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Change, Experiment, ExperimentResult, ExternalCall
from pytest_repro.core.plan.plan import REPEAT, Cell, Plan
from pytest_repro.core.runs.observation import ContentRef
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import LineStep
from pytest_repro.core.trace.trace import Trace
from pytest_repro.engine.experiments.compiled_calls import CompiledCalls
from pytest_repro.engine.experiments.line_trace import trace_lines
from pytest_repro.engine.experiments.process_setup import digest_layout, get_cpu_seconds, shifted_heap
from pytest_repro.engine.experiments.row_digest import digest_rows
from pytest_repro.engine.experiments.state.file_state import FileStates
from pytest_repro.engine.experiments.state.process_state import StateFacts, capture_state
from pytest_repro.engine.experiments.state.session_state import SessionState
from pytest_repro.engine.experiments.state.setting_lines import SettingLines
from pytest_repro.engine.experiments.state.state_diff import diff_states
from pytest_repro.engine.experiments.state.state_restore import StateRestorer
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.run_source import RunSource
from pytest_repro.engine.runs.trial import RunResult, Trial
from pytest_repro.interpose.call_log import log_calls
from pytest_repro.interpose.file_writes import watch_writes
from pytest_repro.interpose.imports import log_imports
from pytest_repro.interpose.patch import pass_through
from pytest_repro.interpose.thread_starts import note_thread_starts
from pytest_repro.traces import trace
from pytest_repro.values.hashing import digest

T = TypeVar("T")

_MAX_CHANGES = 500


def run_experiment(source: RunSource, experiment: Experiment) -> ExperimentResult:
    """Runs the test as *experiment* specifies, and compares the runs by the plan of the trial."""
    with ExitStack() as stack:
        stack.enter_context(shifted_heap() if experiment.shift_heap else shifted_heap(0))
        stack.enter_context(note_thread_starts())
        stack.enter_context(pass_through(experiment.passthrough_sites))
        stack.enter_context(leave_out_calls(experiment.omitted_lines))
        not_suspended = stack.enter_context(collect_not_suspended())
        result = _ExperimentRun(source, experiment).run()
        return replace(result, not_suspendable=tuple(not_suspended.items()))


class _ExperimentRun:
    def __init__(self, source: RunSource, experiment: Experiment) -> None:
        self._source, self._trial, self._experiment = source, source.trial, experiment
        self._calls: list[ExternalCall] = []
        self._states: list[StateFacts] = []
        self._traces: list[Trace] = []
        self._steps: list[list[LineStep]] = []
        self._compiled = CompiledCalls()
        self._row_digests: list[str] = []
        self._session = SessionState(experiment)
        self._digests: list[str] = []
        self._layouts: list[str] = []
        self._restorer = StateRestorer(experiment.restored_names, experiment.keeps_setup)
        self._files, self._failed_files = FileStates(), set[str]()
        self._file_changes: list[Change] = []
        self._setting_lines = SettingLines(experiment.located_names)
        self._body_starts = 0

    def run(self) -> ExperimentResult:
        with watch_writes(self._files.note):
            try:
                return self._run()
            finally:
                self._files.restore_all()  # the next experiment starts alike

    def _run(self) -> ExperimentResult:
        start, cpu, number, each = perf_counter(), get_cpu_seconds(), 0, self._experiment
        stops_early = each.trace_ops or each.trace_lines or each.until_differing
        for number, cell in enumerate(self._experiment.cells):
            self._run_cell(cell, number)
            if stops_early and number and self._differs(number) != (number == each.free_run):
                break
        outcomes = (f"{run.outcome} {run.error_type}".strip() for run in self._trial.runs)
        verdict = self._trial.compute_verdict()
        differing = self._find_differing(verdict)
        return ExperimentResult(
            number + 1,
            differing,
            self._digests[0],
            tuple(self._calls),
            self._session.changes or self._find_changes() or self._setting_lines.list_changes(),
            _take_ends(self._traces),
            tuple(map(tuple, _take_ends(self._steps))),
            perf_counter() - start,
            tuple(dict.fromkeys(outcomes)),
            restored_names=(*self._list_restored_names(), *self._session.names),
            compiled=tuple(self._compiled.modules.items()),
            row_digests=tuple(self._row_digests),
            digests=_unify_digests(self._digests, differing, is_bitwise(self._trial.plan)),
            differing_names=list_differing_names(verdict),
            cpu_seconds=get_cpu_seconds() - cpu,
            layouts=tuple(self._layouts),
        )

    def _run_cell(self, cell: Cell, number: int) -> None:
        experiment, starts = self._experiment, self._body_starts
        if experiment.restored_names:
            self._restore() if number else self._restorer.keep_modules()
        if experiment.digest_rows and number:
            cell = cell._replace(axis="process")  # the trial keeps the values of such a run
        spec = self._trial.make_spec(cell, number)
        free_run, traced = experiment.free_run, experiment.trace_ops and not 0 < experiment.free_run < number
        suspended = () if free_run and number == free_run else experiment.suspended
        spec = replace(spec, suspended=suspended, traced=traced)
        with ExitStack() as stack:
            imports = stack.enter_context(log_imports())
            if experiment.log_calls and number == free_run:
                targets = find_targets(experiment.suspended) if free_run else find_all_targets()
                log = stack.enter_context(log_calls(targets))
                stack.callback(lambda: self._calls.extend([*log.calls, *imports]))
            if traced:
                self._traces.append(stack.enter_context(trace(thorough=True)))
            if experiment.trace_lines:
                self._steps.append(stack.enter_context(trace_lines(on_line=self._compiled.visit_line)))
            stack.enter_context(self._setting_lines.watch())
            run, recording = self._source.run(spec, self._on_body_start)
            if experiment.restored_names and self._body_starts > starts + 1:
                self._restore()  # it was repeated, after an import, in the state that the first attempt left
                run, recording = self._source.run(spec, self._on_body_start)
        for suspect in suspended if imports and number else ():
            reason = f"each run imports {imports[0].display_name}, which meets the world as it is"
            report_not_suspended(split_suspect(suspect)[0].name, reason)
        if experiment.digest_rows:
            self._row_digests.append(digest_rows(recording, self._trial.store))
        self._digests.append(digest_run(run, recording))
        self._trial.add(run, recording)

    def _restore(self) -> None:
        self._restorer.restore()
        self._failed_files |= self._files.restore(self._experiment.restored_names)

    def _list_restored_names(self) -> tuple[str, ...]:
        files = self._files.list_names() - self._failed_files
        restored = {*self._restorer.list_restored_names(), *files}
        return tuple(name for name in self._experiment.restored_names if name in restored)

    def _on_body_start(self) -> None:
        if self._experiment.digest_layout:
            self._layouts[len(self._digests) :] = [digest_layout()]  # of the last attempt of a run
        self._body_starts += 1
        if self._body_starts > 1 and not (self._experiment.session_state or self._experiment.diff_state):
            return
        roots = self._source.find_roots()
        if self._body_starts == 1:
            self._files.begin_body(roots)
            self._restorer.keep_roots(roots)
        if self._experiment.session_state:
            self._session.on_body_start(roots)
        if self._experiment.diff_state and len(self._states) < 2:
            self._roots = roots
            self._states.append(capture_state(self._roots))
            self._file_changes = list(self._files.list_changes()) if len(self._states) == 2 else []

    def _find_changes(self) -> tuple[Change, ...]:
        if len(self._states) < 2:
            return ()
        changes = diff_states(self._states[0], self._states[1], self._roots)
        return (*changes, *self._file_changes)[:_MAX_CHANGES]

    def _differs(self, number: int) -> bool:
        if self._digests[number] == self._digests[0]:
            return False  # they agree, whatever the plan tolerates
        if self._experiment.free_run and is_bitwise(self._trial.plan):
            return True  # the verdict in the end says so, or the diagnosis goes another way
        return number in self._find_differing(self._trial.compute_verdict())

    def _find_differing(self, verdict: Verdict) -> tuple[int, ...]:
        """Numbers of the runs that differ from the first, by the plan of the trial."""
        differing = {(mismatch.axis, mismatch.value) for mismatch in verdict.mismatches}
        return tuple(n for n, run in enumerate(self._trial.runs) if (run.axis, run.value) in differing)


def _take_ends(items: Sequence[T]) -> tuple[T, ...]:
    """The first and the last item, or the only one."""
    return (items[0], items[-1]) if len(items) > 1 else tuple(items)


def digest_runs(trial: Trial, verdict: Verdict, *last: RunResult) -> tuple[str, ...]:
    """A digest of each run at the reference setting: equal for runs that agree, in experiments too.

    Args:
        trial: The runs, without the last one if that is given.
        verdict: On all of them.
    """
    done = [*trial.finished_runs, *last]
    runs = [each for each in done if (each[0].axis, each[0].repeat_of) == (REPEAT, None)]
    differing = {m.value for m in verdict.mismatches if m.axis == REPEAT and m.repeat_of is None}
    numbers = [number for number, (run, _) in enumerate(runs) if run.value in differing]
    return _unify_digests([digest_run(*each) for each in runs], numbers, is_bitwise(trial.plan))


def list_differing_names(verdict: Verdict) -> tuple[str, ...]:
    """The names under which runs at the reference setting have recorded something else."""
    return tuple(dict.fromkeys(m.series for m in verdict.mismatches if m.axis == REPEAT))


def is_bitwise(plan: Plan) -> bool:
    """Whether runs agree only if all that they record is equal bit for bit."""
    return plan.tolerance is None and plan.level in (None, "bitwise")


def _unify_digests(digests: Sequence[str], differing: Sequence[int], bitwise: bool) -> tuple[str, ...]:
    """*digests*, equal for runs that agree.

    Without *bitwise*, it is not known which of the differing runs agree with each other, or with runs of
    another experiment: the larger group is always ``"common"``, the other one ``"rare"``.
    """
    if bitwise:
        first = digests[0]
        return tuple(
            first if n not in differing else each if each != first else f"{each} differs"
            for n, each in enumerate(digests)
        )
    names = ("common", "rare") if 2 * len(differing) <= len(digests) else ("rare", "common")
    return tuple(names[number in differing] for number in range(len(digests)))


def digest_run(run: Run, recording: RecordingBase) -> str:
    """A digest of the outcome and observations of a run, equal in all processes."""
    rows = [f"{run.outcome} {run.error_type}"]
    for each in recording.observations().values():
        content = each.content.digest if isinstance(each.content, ContentRef) else each.content.hex()
        rows.append(f"{each.key} {each.kind} {each.containers} {content}")
    return digest("shown", [memoryview("\n".join(rows).encode("utf-8", "surrogatepass"))])
