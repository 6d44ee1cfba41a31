"""A test while its runs go on: what its hooks need to know, between set-up and verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from time import perf_counter
from types import CodeType, FrameType, TracebackType

import pytest

from pytest_repro.axes import named
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.core.runs.seed_check import Control
from pytest_repro.engine.replay.replay import Replay
from pytest_repro.engine.runs.local_variables import code_of, kept_frame, plain_variables, variables
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recorded, Recording
from pytest_repro.engine.runs.trial import Trial, as_run
from pytest_repro.plugin.exceptions import none_there
from pytest_repro.plugin.extra_runs.results import Beside
from pytest_repro.plugin.judge.judge import judged
from pytest_repro.plugin.run import outcome
from pytest_repro.plugin.run.noted import noted
from pytest_repro.plugin.run.setup_output import SetUpOutput
from pytest_repro.plugin.run.tracing import Tracer
from pytest_repro.plugin.run.warnings import Warnings


class Act:
    """Runs one item's phases: seeds before each, keeps what was observed, judges the last run.

    Args:
        item: The test.
        plan: What is asked of it.
        keep_mb: Megabytes of values kept in memory.
        replay: Feeds its runs, or blocks of them.
        pictured: Whether a report draws what differs.

    Attributes:
        suspended: Suspects that cannot act in the runs of an experiment, by name.
        tracer: Keeps the ops of its runs.
        output: Of its set-ups.
        entered: Called when a body is about to begin.
        over: Whether no more rehearsals are worth while.
        seed: Of this run: the plan's, but for a control run.
        control: The control run, if there was one; told of it is ``control_note``.
        asked: Whether a generator was asked that is seeded, as far as was looked at.
        beside: What runs have shown that are not compared, nor told of, and how those are recorded.
        shown: Around the set-up and the body of the last run: what is shown meanwhile.
        expected: Whether what differs was expected: the test is marked ``xfail``.
        failed: Whether its last run failed since it is not reproducible, and not by itself.
        explained: Adds to a verdict that is ``diverged`` what made it so.
    """

    def __init__(
        self, item: pytest.Item, plan: Plan, keep_mb: int, replay: Replay, pictured: bool = False
    ) -> None:
        self.item, self.trial, self.replay = item, Trial(plan, keep_mb, pictured), replay
        self.plan = self.trial.plan
        self.pin = Pin(plan.seed, plan.deterministic)
        self.last = plan.runs == 1
        self.verdict: Verdict | None = None
        self.teardown_error = ""
        self.warnings = Warnings()
        self.output = SetUpOutput(item)
        self.expected = self.failed = self.over = False
        self.suspended: tuple[str, ...] = ()
        self.tracer = Tracer(False)
        self.entered: Callable[[], None] = lambda: None
        self.control: Control | None = None
        self.control_note, self.asked = "", False
        self.beside = Beside(self.trial.aside)
        self.shown: Callable[[], AbstractContextManager[None]] = nullcontext
        self.explained: Callable[[Verdict], Verdict] = lambda verdict: verdict
        self._raised: BaseException | None = None
        self._phases = item.setup, item.runtest, item.teardown
        self.turn(self.trial.last)

    def turn(self, cell: Cell, number: int | None = None, seed: int | None = None) -> None:
        """Turns to the next run, under *cell*.

        Its number is *number*, else as many as have been run; *seed* is a control run's.
        """
        self.cell, self._number, self._aside = cell, number, seed is not None
        self.seed = self.plan.seed if seed is None else seed
        self.pin.vary(cell, self.suspended, seed)
        self._begin()

    def _begin(self) -> None:
        aside, compared = self.beside.recording, self.trial.recording
        self.warnings.begin()
        self.recording: Recording = aside() if self._aside else compared(self.cell)
        self.recorded: Recorded = self.recording
        self.index = len(self.trial.runs) if self._number is None else self._number
        self.took: set[str] = set()
        self.subtest: tuple[str, str] | None = None
        self.ran = self.drew = False
        self._run: Run | None = None
        self.pin.feed(self.replay.begin())
        self._passed_over: tuple[str, ...] = ()
        self._start = perf_counter()

    # The three phases of the item, called in place of its own.

    def setup(self) -> None:
        """Seeds, then sets the item up: function fixtures draw the same in each run."""
        __tracebackhide__ = True
        self._begin()
        none_there(self.trial)
        with self.shown():
            self.pin.seed()
            self._phases[0]()
        self.asked |= self.pin.asked

    def runtest(self) -> None:
        """Seeds, runs the body, observes; after the last run, judges."""
        __tracebackhide__ = True
        if self._raised is not None:  # a rerun must not try a mismatch away
            self.ran = True
            raise self._raised
        self.pin.seed()
        self.entered()
        self.ran = True
        try:
            with self.shown():
                self._body()
        except BaseException as error:
            if isinstance(error, outcome.LEAVE):
                raise
            self._ended(error)
            raise
        self._ended(outcome.unittest_error(self.item))

    def teardown(self) -> None:
        """Tears the item down; what is wider than the function ends in the world without us."""
        __tracebackhide__ = True
        try:
            self._phases[2]()
        finally:
            if self.last:
                self.pin.release()

    def _body(self) -> None:
        __tracebackhide__ = True
        self._frames: list[FrameType] = []
        try:
            if type(self.item).runtest is pytest.Function.runtest:
                self._phases[1]()  # calls the test by pytest_pyfunc_call, where watching begins
            else:
                with self.watching():
                    self._phases[1]()
            if self._frames and (self.plan.capture == "locals" or not len(self.recording)):
                self.recording.record_locals(variables(self._frames[0]))
            self.recording.settle()
            if self._frames and not len(self.recording):
                self._passed_over = plain_variables(variables(self._frames[0]))
        finally:
            # A kept frame leads back to this one: held on to, it would keep the test's tensors
            # alive until the next garbage collection.
            self._frames.clear()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keeps the frame of the test's function, when it is called in the block."""
        with kept_frame(self._code()) as kept:
            yield
        self._frames += kept

    def _code(self) -> CodeType | None:
        function = getattr(self.item, "obj", None)
        # Hypothesis calls the body once per example: there is no one set of local variables.
        unwatched = self.plan.capture == "recorded" or hasattr(function, "hypothesis")
        return None if unwatched else code_of(function)

    def _ended(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        seconds = perf_counter() - self._start
        self.asked |= self.pin.asked
        self.tracer.body_ended(self.cell)
        run = self._as_run(outcome.outcome_of(error), seconds, error, self.drew or self.pin.drew)
        if run.outcome == "failed":
            checked = outcome.by_check(error)  # seen by frames that the traceback leaves out
            run = replace(run, checked=checked, traceback=outcome.traceback_of(self.item, error))
        elif error is None and self.subtest:
            run = outcome.without_subtest(run, *self.subtest)
        self._run = run
        if self.last:
            self._judge(run, error.__traceback__ if error is not None else None)

    def _as_run(
        self, outcome: Outcome, seconds: float, error: BaseException | None = None, drew: bool = False
    ) -> Run:
        return as_run(self.cell, outcome, seconds, self.recorded, error, drew, self.replay.beyond)

    def _judge(self, run: Run, trace: TracebackType | None) -> None:
        __tracebackhide__ = True
        self._raised = judged(self, run, self._passed_over)
        if self._raised is not None:
            # Where the body broke, a debugger that is asked for stops there.
            raise self._raised.with_traceback(trace) from None

    def recorder(self) -> Callable[[str, object], None]:
        """What ``repro.record`` calls in this run."""
        return noted(self.recording) if self.tracer.on else self.recording.record

    def hear(self, report: pytest.TestReport) -> None:
        """Hears a report that goes out while the body runs: a subtest's."""
        if self.ran and self._run is None and report.failed:
            self.subtest = self.subtest or outcome.subtest(report)

    def rehearsed(self, reports: Sequence[pytest.TestReport]) -> None:
        """Takes the rehearsal that ended, with the reports nobody else saw."""
        run = self.finished(reports)
        if run.outcome == "passed" and (why := self._took_no_part()):
            self.trial.absent(self.cell, why)
        else:
            self.trial.add(run, self.recorded)
        self.teardown_error = self.teardown_error or outcome.torn(reports, len(self.trial.runs))

    def _took_no_part(self) -> str:
        """Why a value was not varied though it was set: the test must do its part for some axes."""
        axis = self.cell.axis
        return "" if axis == REPEAT or axis in self.took else named(axis).asks

    def broke_after_body(self, error: BaseException, report: pytest.TestReport) -> None:
        """Takes a failure that others raise once the body has passed: a thread that died, say."""
        if self._run is not None and self._run.outcome == "passed":
            run = self._as_run("failed", self._run.seconds, error)
            self._run = replace(run, traceback=report.longreprtext)

    def finished(self, reports: Sequence[pytest.TestReport]) -> Run:
        """The record of the run that ended; its *reports* tell why a body did not run."""
        self.replay.counts()
        if self._run is not None:
            return self._run
        return outcome.without_body(self._as_run("failed", perf_counter() - self._start), reports)

    def never_ran(self, report: pytest.TestReport) -> None:
        """Judges a test whose last run did not reach its body: *report* is of the set-up."""
        self.verdict = self.trial.verdict((self.finished([report]), self.recorded))


ACT = pytest.StashKey[Act]()
