"""A test while its runs go on: what its hooks need to know, between set-up and verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from time import perf_counter
from types import CodeType, FrameType, TracebackType

import pytest

from pytest_repro.axes import get_axis
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.core.runs.seed_check import SeedCheck
from pytest_repro.engine.replay.replay import Replay
from pytest_repro.engine.runs.current_run import run_in_progress
from pytest_repro.engine.runs.local_variables import (
    describe_plain_variables,
    find_code,
    iter_locals,
    keep_frame,
)
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording, RecordingBase
from pytest_repro.engine.runs.trial import Trial, make_run
from pytest_repro.plugin.exceptions import skip_if_no_value
from pytest_repro.plugin.judge.judge import judge_item
from pytest_repro.plugin.run import outcome
from pytest_repro.plugin.run.extra_results import ExtraResults
from pytest_repro.plugin.run.noted import make_tracing_recorder
from pytest_repro.plugin.run.setup_output import SetupOutput
from pytest_repro.plugin.run.tracing import Tracer
from pytest_repro.plugin.run.warnings import RehearsalWarnings


class ItemRunner:
    """Runs one item's phases: seeds before each, keeps what was observed, judges the last run.

    Args:
        item: The test.
        plan: What is asked of it.
        keep_mb: Megabytes of values kept in memory.
        replay: Feeds its runs, or blocks of them.
        with_plots: Whether a report draws what differs.

    Attributes:
        suspended: Suspects that cannot act in the runs of an experiment, by name.
        tracer: Keeps the ops of its runs.
        setup_output: Of its set-ups.
        on_body_start: Called when a body is about to begin.
        rehearsals_over: Whether no more rehearsals are worth while.
        seed: Of this run: the plan's, but for a control run.
        seed_check: The control run, if there was one; told of it is ``control_note``.
        generators_used: Whether a generator was asked that is seeded, as far as was looked at.
        extra_results: What runs have shown that are not compared, nor told of, and how those are recorded.
        phase_context: Around the set-up and the body of the last run: what is shown meanwhile.
        xfailed: Whether what differs was expected: the test is marked ``xfail``.
        failed_by_plugin: Whether its last run failed since it is not reproducible, and not by itself.
        diagnose: Adds to a verdict that is ``diverged`` what made it so.
    """

    def __init__(
        self, item: pytest.Item, plan: Plan, keep_mb: int, replay: Replay, with_plots: bool = False
    ) -> None:
        self.item, self.trial, self.replay = item, Trial(plan, keep_mb, with_plots), replay
        self.plan = self.trial.plan
        self.pin = Pin(plan.seed, plan.deterministic)
        self.is_last_run = plan.runs == 1
        self.verdict: Verdict | None = None
        self.teardown_error = ""
        self.warnings = RehearsalWarnings()
        self.setup_output = SetupOutput(item)
        self.xfailed = self.failed_by_plugin = self.rehearsals_over = False
        self.suspended: tuple[str, ...] = ()
        self.tracer = Tracer(False)
        self.on_body_start: Callable[[], None] = lambda: None
        self.seed_check: SeedCheck | None = None
        self.seed_check_note, self.generators_used = "", False
        self.extra_results = ExtraResults(self.trial.uncompared_recording)
        self.phase_context: Callable[[], AbstractContextManager[None]] = nullcontext
        self.diagnose: Callable[[Verdict], Verdict] = lambda verdict: verdict
        self._failure: BaseException | None = None
        self._phases = item.setup, item.runtest, item.teardown
        self.prepare_run(self.trial.last_cell)

    def prepare_run(self, cell: Cell, number: int | None = None, seed: int | None = None) -> None:
        """Turns to the next run, under *cell*.

        Its number is *number*, else as many as have been run; *seed* is a control run's.
        """
        self.cell, self._run_number, self._is_extra_run = cell, number, seed is not None
        self.seed = self.plan.seed if seed is None else seed
        self.pin.prepare_run(cell, self.suspended, seed)
        self._reset_run_state()

    def _reset_run_state(self) -> None:
        aside, compared = self.extra_results.make_recording, self.trial.new_recording
        self.warnings.start_run()
        self.recording: Recording = aside() if self._is_extra_run else compared(self.cell)
        self.final_recording: RecordingBase = self.recording
        self.run_index = len(self.trial.runs) if self._run_number is None else self._run_number
        self.used_axes: set[str] = set()
        self.failed_subtest: tuple[str, str] | None = None
        self.body_started = self.drew_on_axis = False
        self._run_record: Run | None = None
        self.pin.set_input(self.replay.begin_run())
        self._unobserved_locals: tuple[str, ...] = ()
        self._start = perf_counter()

    # The three phases of the item, called in place of its own.

    def setup(self) -> None:
        """Seeds, then sets the item up: function fixtures draw the same in each run."""
        __tracebackhide__ = True
        self._reset_run_state()
        skip_if_no_value(self.trial)
        with self.phase_context(), run_in_progress(self):
            self.pin.seed()
            self._phases[0]()
        self.generators_used |= self.pin.generators_used

    def runtest(self) -> None:
        """Seeds, runs the body, observes; after the last run, judges."""
        __tracebackhide__ = True
        if self._failure is not None:  # a rerun must not try a mismatch away
            self.body_started = True
            raise self._failure
        self.pin.seed()
        self.on_body_start()
        self.body_started = True
        try:
            with self.phase_context(), run_in_progress(self):
                self._run_body()
        except BaseException as error:
            if isinstance(error, outcome.EXIT_EXCEPTIONS):
                raise
            self._finish_body(error)
            raise
        self._finish_body(outcome.get_unittest_error(self.item))

    def teardown(self) -> None:
        """Tears the item down; what is wider than the function ends in the world without us."""
        __tracebackhide__ = True
        try:
            self._phases[2]()
        finally:
            if self.is_last_run:
                self.pin.release()

    def _run_body(self) -> None:
        __tracebackhide__ = True
        self._frames: list[FrameType] = []
        try:
            if type(self.item).runtest is pytest.Function.runtest:
                self._phases[1]()  # calls the test by pytest_pyfunc_call, where watching begins
            else:
                with self.keep_test_frame():
                    self._phases[1]()
            if self._frames and (self.plan.capture == "locals" or not len(self.recording)):
                self.recording.record_locals(iter_locals(self._frames[0]))
            self.recording.record_assertion()
            if self._frames and not len(self.recording):
                self._unobserved_locals = describe_plain_variables(iter_locals(self._frames[0]))
        finally:
            # A kept frame leads back to this one: held on to, it would keep the test's tensors
            # alive until the next garbage collection.
            self._frames.clear()

    @contextmanager
    def keep_test_frame(self) -> Iterator[None]:
        """Keeps the frame of the test's function, when it is called in the block."""
        with keep_frame(self._find_test_code()) as kept:
            yield
        self._frames += kept

    def _find_test_code(self) -> CodeType | None:
        function = getattr(self.item, "obj", None)
        # Hypothesis calls the body once per example: there is no one set of local variables.
        unwatched = self.plan.capture == "recorded" or hasattr(function, "hypothesis")
        return None if unwatched else find_code(function)

    def _finish_body(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        seconds = perf_counter() - self._start
        self.generators_used |= self.pin.generators_used
        self.tracer.mark_body_end(self.cell)
        run = self._make_run(
            outcome.classify_error(error), seconds, error, self.drew_on_axis or self.pin.axis_generators_used
        )
        if run.outcome == "failed":
            checked = outcome.is_plugin_error(error)  # seen by frames that the traceback leaves out
            run = replace(run, failed_check=checked, traceback=outcome.format_traceback(self.item, error))
        elif error is None and self.failed_subtest:
            run = outcome.apply_failed_subtest(run, *self.failed_subtest)
        self._run_record = run
        if self.is_last_run:
            self._judge(run, error.__traceback__ if error is not None else None)

    def _make_run(
        self, outcome: Outcome, seconds: float, error: BaseException | None = None, drew_on_axis: bool = False
    ) -> Run:
        return make_run(
            self.cell, outcome, seconds, self.final_recording, error, drew_on_axis, self.replay.past_log
        )

    def _judge(self, run: Run, tb: TracebackType | None) -> None:
        __tracebackhide__ = True
        self._failure = judge_item(self, run, self._unobserved_locals)
        if self._failure is not None:
            # Where the body broke, a debugger that is asked for stops there.
            raise self._failure.with_traceback(tb) from None

    def make_recorder(self) -> Callable[[str, object], None]:
        """What ``repro.record`` calls in this run."""
        return make_tracing_recorder(self.recording) if self.tracer.enabled else self.recording.record

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Hears a report that goes out while the body runs: a subtest's."""
        if self.body_started and self._run_record is None and report.failed:
            self.failed_subtest = self.failed_subtest or outcome.describe_failed_subtest(report)

    def finish_rehearsal(self, reports: Sequence[pytest.TestReport]) -> None:
        """Takes the rehearsal that ended, with the reports nobody else saw."""
        run = self.finish_run(reports)
        if run.outcome == "passed" and (why := self._explain_unused_axis()):
            self.trial.add_unavailable(self.cell, why)
        else:
            self.trial.add(run, self.final_recording)
        self.teardown_error = self.teardown_error or outcome.format_teardown_failure(
            reports, len(self.trial.runs)
        )

    def _explain_unused_axis(self) -> str:
        """Why a value was not varied though it was set: the test must do its part for some axes."""
        axis = self.cell.axis
        return "" if axis == REPEAT or axis in self.used_axes else get_axis(axis).opt_in_message

    def fail_after_body(self, error: BaseException, report: pytest.TestReport) -> None:
        """Takes a failure that others raise once the body has passed: a thread that died, say."""
        if self._run_record is not None and self._run_record.outcome == "passed":
            run = self._make_run("failed", self._run_record.seconds, error)
            self._run_record = replace(run, traceback=report.longreprtext)

    def finish_run(self, reports: Sequence[pytest.TestReport]) -> Run:
        """The record of the run that ended; its *reports* tell why a body did not run."""
        self.replay.keep_logs()
        if self._run_record is not None:
            return self._run_record
        return outcome.apply_phase_outcome(self._make_run("failed", perf_counter() - self._start), reports)

    def judge_without_body(self, report: pytest.TestReport) -> None:
        """Judges a test whose last run did not reach its body: *report* is of the set-up."""
        self.verdict = self.trial.compute_verdict((self.finish_run([report]), self.final_recording))


RUNNER = pytest.StashKey[ItemRunner]()
