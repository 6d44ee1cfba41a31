"""The hooks of a session with marked tests: rehearse, run for real, report."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest

from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.finding import StateRoot
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.experiments.line_trace import pause_all_tracing
from pytest_repro.engine.experiments.run_experiment import run_experiment
from pytest_repro.engine.runs.pin import seed_temporarily
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin import peers
from pytest_repro.plugin.pytest_internals import find_outliving_roots, is_autouse, is_setup_only
from pytest_repro.plugin.remote.axis_companions import AxisCompanions
from pytest_repro.plugin.remote.diagnosis import Diagnoser
from pytest_repro.plugin.run.item_runner import RUNNER, ItemRunner
from pytest_repro.plugin.run.outcome import apply_phase_outcome
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.rehearse import Rehearser
from pytest_repro.plugin.run.silence import chain_callbacks, silence
from pytest_repro.plugin.run.traceback_filter import strip_own_frames
from pytest_repro.plugin.session import item_report, rows
from pytest_repro.plugin.session.rehearsals import Rehearsals
from pytest_repro.plugin.stash import PLAN, SETTINGS
from pytest_repro.plugin.workerinput import is_rank

PLUGIN_NAME = "repro-conductor"

RehearseFunction = Callable[[ItemRunner], Sequence[pytest.TestReport]]
ReportCallback = Callable[[pytest.TestReport], None]


def register_hooks(session: pytest.Session) -> None:
    """Registers the hooks that marked tests need; without any, nobody pays for them."""
    config = session.config
    if not config.pluginmanager.has_plugin(PLUGIN_NAME):
        config.pluginmanager.register(ReproHooks(session), PLUGIN_NAME)
        rows.collect_rows(config)


class ReproHooks:
    """Leads each marked test through its runs."""

    def __init__(self, session: pytest.Session) -> None:
        config = session.config
        self._progress = Progress(config)
        self._axis_companions = AxisCompanions(session, self._progress)
        self._diagnoser = Diagnoser(session, self._progress)
        config.add_cleanup(self.close)
        self._with_plots = rows.should_plot(config)
        self._keep_mb, self._trace = config.stash[SETTINGS].keep_mb, config.stash[SETTINGS].trace
        rehearser = Rehearser(config.pluginmanager, self)
        self._rehearsals = Rehearsals(rehearser, self._progress, config)
        self._runner: ItemRunner | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """All runs but the last are rehearsals; the last one is pytest's own."""
        plan = item.stash.get(PLAN, None)
        if plan is None or is_setup_only(item.config):
            return (yield)
        acting = self._install_runner(item, plan, self._with_plots)
        with self._progress.track_test(item), acting as act, closing(act.trial):
            act.diagnose = lambda verdict: self._diagnoser.diagnose(item, verdict)
            act.tracer.enabled = self._trace and not plan.ranks
            if not act.is_last_run or self._rehearsals.has_extra_runs(act):
                self._run_rehearsals(act)
            with act.tracer.trace_run(act.trial.last_cell):
                result = yield
            for kwargs in act.warnings.pop_pending():
                item.ihook.pytest_warning_recorded.call_historic(kwargs=kwargs)
        self._axis_companions.teardown_for_next(item, nextitem)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Ends the companions with the loop: what they leave (coverage) others gather next."""
        try:
            result = yield
        except BaseException as error:
            self.close(at_once=not isinstance(error, Exception))
            raise
        self.close()
        return result

    def close(self, at_once: bool = False) -> None:
        """Ends every companion; gives them a few seconds, unless *at_once*."""
        self._diagnoser.close()
        self._axis_companions.close(at_once)

    def run_in_companion(
        self, item: pytest.Item, cell: Cell, number: int, on_subtest_report: ReportCallback
    ) -> tuple[Trial, Run, RecordingBase]:
        """One run of *item* in a companion; the trial keeps its values until it is closed.

        Args:
            item: The test.
            cell: Under what it is run.
            number: The run's number, from 0.
            on_subtest_report: Called with the reports of subtests.
        """
        with self._install_runner(item, item.stash[PLAN]) as act:
            act.prepare_run(cell, number)
            with (
                peers.wrap_rehearsals(item),
                silence(item, chain_callbacks(act.note_subtest_report, on_subtest_report), act.warnings.add),
            ):
                # In a rank such a run is told of: all of them must make the next one, or none.
                reports = self._rehearsals.rehearse_until_settled(act, can_retry=not is_rank(item.config))
            run = replace(act.finish_run(reports), warnings=act.warnings.pop_records())
            if is_rank(item.config) and run.outcome == "passed":
                # No report of a tear-down that failed is seen; nor is what a marker xfail made of a body.
                run = apply_phase_outcome(run, [each for each in reports if each.when == "teardown"])
            return act.trial, run, act.final_recording

    def run_experiment(self, item: pytest.Item, experiment: Experiment) -> ExperimentResult:
        """The runs of *experiment* on *item*, in a fork of a companion."""
        with self._install_runner(item, item.stash[PLAN]) as act, closing(act.trial):
            act.suspended, act.tracer.enabled = experiment.suspended, experiment.trace_ops
            with peers.wrap_rehearsals(item), silence(item, act.note_subtest_report, act.warnings.add):
                return run_experiment(
                    _ItemRunSource(act, self._rehearsals.rehearse_until_settled), experiment
                )

    @contextmanager
    def _install_runner(
        self, item: pytest.Item, plan: Plan, with_plots: bool = False
    ) -> Iterator[ItemRunner]:
        act = self._runner = item.stash[RUNNER] = self._axis_companions.make_runner(
            item, plan, self._keep_mb, with_plots
        )
        vars(item).update(setup=act.setup, runtest=act.runtest, teardown=act.teardown)
        try:
            with peers.wrap_runs(item, plan):
                yield act
        finally:
            self._runner = None
            for phase in ("setup", "runtest", "teardown"):
                vars(item).pop(phase, None)
            act.pin.release()
            del item.stash[RUNNER]

    def _run_rehearsals(self, runner: ItemRunner) -> None:
        """All runs but the last, here and elsewhere; then turns to that one."""
        runner.is_last_run = False
        self._axis_companions.start_runs(runner)
        self._rehearsals.run(runner)
        runner.prepare_run(runner.trial.last_cell)
        runner.is_last_run, runner.phase_context = True, lambda: self._progress.wrap_last_run(runner.trial)
        self._axis_companions.receive_runs(runner)
        self._progress.close()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Watches for the test's function as late as can be: what comes before is pytest's own.

        Watched from ``runtest`` on, 86 calls would be heard of before the test's.
        """
        if self._runner is None or self._runner.item is not pyfuncitem:
            return (yield)
        with self._runner.keep_test_frame():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Fixtures wider than the test are made once, in the world as it is without the plugin.

        What one does to switches and generators outlives the test; the values it draws are
        seeded, so that they do not depend on which test asked first.
        """
        if fixturedef.scope == "function":
            return (yield)
        # Finalizers run last in, first out: around the fixture's own end, which may come in a test.
        world = ExitStack()
        fixturedef.addfinalizer(world.close)
        try:
            with ExitStack() as stack:
                self._unpin(stack)
                if self._runner is not None:
                    self._runner.setup_output.has_wider_fixtures = True
                    stack.enter_context(pause_all_tracing())
                if self._runner is not None and not is_autouse(fixturedef, request.session):
                    stack.enter_context(seed_temporarily(self._runner.plan.seed))
                return (yield)
        finally:
            fixturedef.addfinalizer(lambda: self._unpin(world))

    def _unpin(self, stack: ExitStack) -> None:
        if self._runner is not None:
            stack.enter_context(self._runner.pin.unpinned())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hangs the verdict on the last run's reports."""
        act = self._runner
        if act is not None and call.excinfo is not None:
            strip_own_frames(call.excinfo.tb)
        if act is not None and act.is_last_run and call.when == "setup":
            act.setup_output.restore()
        report = yield
        if act is None or act.item is not item:
            return report
        if act.is_last_run:
            item_report.update_report(act, call, report)
        elif call.when == "call" and call.excinfo is not None:
            act.fail_after_body(call.excinfo.value, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        """A test that stops in the debugger must be heard, in a rehearsal too."""
        for stream in (sys.stdout, sys.stderr):
            getattr(stream, "unmute", int)()

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """A warning of the last run is told: none of the rehearsals' need be."""
        if self._runner is not None:
            self._runner.warnings.discard(warning_message)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hears of subtests that fail: they do not fail the body."""
        if self._runner is not None:
            self._progress.close()  # what reporters write now may take a line of its own
            self._runner.note_subtest_report(report)


class _ItemRunSource:
    """Runs a test once more for an experiment."""

    def __init__(self, runner: ItemRunner, rehearse: RehearseFunction) -> None:
        self.trial, self._runner, self._rehearse = runner.trial, runner, rehearse

    def run_once(
        self, cell: Cell, number: int, on_body_start: Callable[[], None]
    ) -> tuple[Run, RecordingBase]:
        self._runner.on_body_start = on_body_start
        self._runner.prepare_run(cell, number)
        try:
            reports = self._rehearse(self._runner)
        finally:
            self._runner.pin.end_run()  # before what listens and traces is put back, which it lies upon
        return self._runner.finish_run(reports), self._runner.final_recording

    def find_roots(self) -> dict[str, StateRoot]:
        """Fixtures that outlive the test, and its parameters."""
        return find_outliving_roots(self._runner.item)
