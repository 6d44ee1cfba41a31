"""Runs one item: its three phases, called in place of the item's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from time import perf_counter
from types import MappingProxyType

import pytest

from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.plan import REPEAT, Plan
from pytest_repro.core.runs.run import Outcome, Run, RunSpec
from pytest_repro.engine.replay import Replay
from pytest_repro.engine.runs.current_run import runs_in_progress
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.run_source import BodyStartCallback, make_run
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.exceptions import skip_without_value
from pytest_repro.plugin.run import outcome
from pytest_repro.plugin.run.item_run import ExtraResults, ItemRun, JudgeProtocol, PhaseContext, SetupOutput
from pytest_repro.plugin.run.tracing import Tracer, make_traced_record
from pytest_repro.plugin.run.warnings import ItemWarnings
from pytest_repro.plugin.stash import FOLDERS, TRACER


class ItemRunner:
    """Seeds before each phase of an item, observes each run, and judges the last one.

    Args:
        trial: Collects its runs.
        replay: Replays external input to its runs.
        judge: Judges it once the last body has ended.
        track_generators: Whether draws from global generators are noticed.
        fixtures: Makes those of this package that the test requests, by name, for each run.

    Attributes:
        verdict: Set once the last run has ended.
        teardown_error: How the tear-down of a rehearsal failed.
    """

    def __init__(
        self,
        item: pytest.Item,
        trial: Trial,
        replay: Replay,
        judge: JudgeProtocol,
        track_generators: bool = False,
        fixtures: Mapping[str, Callable[[ItemRunner], object]] = MappingProxyType({}),
    ) -> None:
        self.item, self.trial, self.replay = item, trial, replay
        self.pin = Pin(track_generators=track_generators)
        self.tracer, self.warnings = item.stash.get(TRACER, None) or Tracer(), ItemWarnings()
        self.setup_output, self.extra_results, self.teardown_error = SetupOutput(item), ExtraResults(), ""
        self.verdict: Verdict | None = None
        self._failure: BaseException | None = None
        self._judge, self._fixtures = judge, fixtures
        self._phases = item.setup, item.runtest, item.teardown
        self.current: ItemRun  # from the first begin() on

    @property
    def plan(self) -> Plan:
        """What is asked, as far as it is available on this machine."""
        return self.trial.plan

    @property
    def is_abandoned(self) -> bool:
        """Whether further rehearsals are pointless."""
        return False

    @property
    def is_settled(self) -> bool:
        """Whether the attempt that ended counts: no library was first imported in it."""
        return self.pin.is_settled

    def begin(
        self,
        spec: RunSpec,
        make_recording: Callable[[], Recording] | None = None,
        phase_context: PhaseContext | None = None,
        on_body_start: BodyStartCallback | None = None,
    ) -> None:
        """Makes *spec* the next run; for the other arguments see :class:`ItemRun`."""
        self.warnings.start_run(spec)
        is_replaying = self.replay.whole_runs or self.replay.tapes
        self.pin.prepare_run(spec, self.replay.begin_run() if is_replaying else None)
        make = make_recording or self.trial.new_uncompared_recording
        empty = self.trial.new_recording(spec.cell) if spec.compared and not make_recording else make()
        (folders := self.item.config.stash[FOLDERS]).begin_run(self.item)
        empty.rename = folders.rename
        record = make_traced_record(empty) if spec.traced else empty.record
        self.current = ItemRun(spec, empty, empty, record, make_recording, phase_context, on_body_start)

    def setup(self) -> None:
        """Seeds, then sets the item up: function fixtures draw the same in each run."""
        __tracebackhide__ = True
        self._start_setup()
        self.pin.seed()
        for name, make_fixture in self._fixtures.items():
            vars(self.item).get("funcargs", {})[name] = make_fixture(self)
        try:
            self._run_phase(self._phases[0])
        finally:
            if self.setup_output.has_wider_fixtures and not self.current.spec.reported:
                self.setup_output.add_sections()

    def _start_setup(self) -> None:
        __tracebackhide__ = True
        if self.current.setup_started:  # again: another plugin reruns the item
            before = self.current
            self.begin(before.spec, before.make_recording, before.phase_context, before.on_body_start)
        self.current.setup_started, self.current.start = True, perf_counter()
        if self.current.spec.reported:
            self.warnings.note_setup()
        if self.trial.unrunnable:
            skip_without_value(self.trial)

    def _run_phase(self, run: Callable[[], None]) -> None:
        """Runs the set-up or the body as that of the run in progress."""
        __tracebackhide__ = True
        phase_context = self.current.phase_context
        runs_in_progress.append(self.current)
        try:
            with nullcontext() if phase_context is None else phase_context():
                run()
        finally:
            runs_in_progress.pop()
            if self.pin.generators_are_tracked:
                self.extra_results.generators_used |= self.pin.generators_used

    def runtest(self) -> None:
        """Seeds, runs the body, observes; judges after the last run."""
        __tracebackhide__ = True
        current = self.current
        if self._failure is not None:  # a rerun must not retry a mismatch away
            current.body_started = True
            raise self._failure
        self.pin.seed()
        if current.on_body_start is not None:
            current.on_body_start()
        current.body_started = True
        try:
            self._run_phase(self._run_body)
        except BaseException as error:
            if not isinstance(error, outcome.EXIT_EXCEPTIONS):
                self._finish_body(error)
            raise
        self._finish_body(outcome.get_unittest_error(self.item) if "_excinfo" in vars(self.item) else None)

    def teardown(self) -> None:
        """Tears the item down; fixtures wider than the function end in the world without the plugin."""
        __tracebackhide__ = True
        try:
            self._phases[2]()
        finally:
            if self.current.spec.reported:
                self.warnings.note_test_end()
                self.pin.release()

    def _run_body(self) -> None:
        __tracebackhide__ = True
        try:
            if type(self.item).runtest is pytest.Function.runtest:
                self._phases[1]()  # calls the test through pytest_pyfunc_call, where its frame is kept
            else:
                stop = self.current.start_keeping_frame(getattr(self.item, "obj", None), self.plan.capture)
                try:
                    self._phases[1]()
                finally:
                    stop()
            self.current.observe_locals(self.trial.plan.capture)
        finally:
            self.current.frames.clear()  # they lead back to this one, and would keep the test's tensors alive

    def _finish_body(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        current = self.current
        if current.spec.traced:
            self.tracer.mark_body_end(current.spec.cell)
        is_varied = current.spec.cell.axis != REPEAT
        drew_on_axis = is_varied and (current.drew_on_axis or self.pin.axis_generators_used)
        if isinstance(error, NotReproducible):
            current.note_assertion_error(error)
        word: Outcome = "passed" if error is None else outcome.classify_error(error)
        run = self._make_run(word, error, drew_on_axis)
        if run.outcome == "failed":
            if outcome.is_plugin_error(error):  # by frames that the traceback leaves out
                run = replace(run, failed_check=run.failed_check or "raised")
            run = replace(run, traceback=outcome.format_traceback(self.item, error))
        elif error is None and current.failed_subtest:
            run = outcome.apply_failed_subtest(run, *current.failed_subtest)
        current.finished = run
        if current.spec.reported:
            self._raise_failure(run, error)

    def _make_run(
        self, run_outcome: Outcome, error: BaseException | None = None, drew_on_axis: bool = False
    ) -> Run:
        current, seconds = self.current, perf_counter() - self.current.start
        past_log = self.replay.past_log if self.replay.tapes else ()
        cell, recording = current.spec.cell, current.final_recording
        run = make_run(cell, run_outcome, seconds, recording, error, drew_on_axis, past_log)
        if self.item.config.stash[FOLDERS].names:
            run = replace(run, made_folders=True)
        return run if current.failed_assertion is None else current.apply_failed_assertion(run)

    def _raise_failure(self, run: Run, error: BaseException | None) -> None:
        """Judges the test; raises if the verdict fails it."""
        __tracebackhide__ = True
        self.verdict = self._judge.compute_verdict(self, run)
        self._failure = self._judge.find_failure(self, run, self.verdict)
        if self._failure is not None:  # a debugger stops where the body broke
            raise self._failure.with_traceback(getattr(error, "__traceback__", None)) from None

    def replace_verdict(self, verdict: Verdict, failure: BaseException | None = None) -> None:
        """Replaces the verdict, and with *failure* what fails the test, once more is known."""
        self.verdict, self._failure = verdict, failure or self._failure

    def finish_rehearsal(self, reports: Sequence[pytest.TestReport]) -> None:
        """Adds the rehearsal that ended to the trial; nobody else sees its *reports*."""
        run, cell = self.finish_run(reports), self.current.spec.cell
        is_varied = run.outcome == "passed" and cell.axis != REPEAT
        if is_varied and (reason := self.current.explain_missing_opt_in()):
            self.trial.add_unavailable(cell, reason)
        else:
            self.trial.add(run, self.current.final_recording)
        if not self.teardown_error and reports and reports[-1].failed:
            self.teardown_error = outcome.format_teardown_failure(reports, self.trial.run_count)

    def note_failure_after_body(self, error: BaseException, report: pytest.TestReport) -> None:
        """Notes a failure that others raise once the body has passed, of a thread that died, say."""
        finished = self.current.finished
        if finished is not None and finished.outcome == "passed":
            run, text = self._make_run("failed", error), report.longreprtext
            self.current.finished = replace(run, seconds=finished.seconds, traceback=text)

    def finish_run(self, reports: Sequence[pytest.TestReport]) -> Run:
        """The record of the run that ended; *reports* say why a body did not run."""
        if self.replay.tapes:
            self.replay.keep_logs()
        return self.current.finished or outcome.apply_phase_outcome(self._make_run("failed"), reports)

    def judge_without_body(self, report: pytest.TestReport) -> None:
        """Judges a test whose last run did not reach its body; *report* is of its set-up."""
        run = self.finish_run([report])
        self.verdict = self.trial.compute_verdict((run, self.current.final_recording))
