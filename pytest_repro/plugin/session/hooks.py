"""The hooks of a session with marked tests: rehearse, run for real, report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_repro.core.compare.verdict import NotReproducible
from pytest_repro.core.plan.plan import Cell, Plan
from pytest_repro.engine.runs.run_source import MAX_ATTEMPTS
from pytest_repro.engine.runs.trial import RunResult, Trial
from pytest_repro.interpose.seeding import covered_hooks, restore_covered_functions
from pytest_repro.plugin import peers
from pytest_repro.plugin.fixtures.repro import find_fixtures, note_request
from pytest_repro.plugin.fixtures.wider import make_wider_fixture
from pytest_repro.plugin.judge.judge import Judge
from pytest_repro.plugin.pytest_internals import is_setup_only
from pytest_repro.plugin.remote import OtherProcesses
from pytest_repro.plugin.run.item_run import keep_frame_in_call
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.item_runs import ItemRuns
from pytest_repro.plugin.run.outcome import apply_phase_outcome, strip_own_frames
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.rehearse import Rehearser, end_fixtures
from pytest_repro.plugin.run.replay import get_replay
from pytest_repro.plugin.run.silence import ReplacedHooks, SilencedHook
from pytest_repro.plugin.run.temporary_folders import TemporaryFolders
from pytest_repro.plugin.run.tracing import pause_in_packages
from pytest_repro.plugin.session import rows
from pytest_repro.plugin.session.item_report import ItemReporter
from pytest_repro.plugin.session.unseen_runs import UnseenRuns
from pytest_repro.plugin.session.user_code import set_session_user_code
from pytest_repro.plugin.stash import FOLDERS, PLAN, RUNNER, SETTINGS, TRACER
from pytest_repro.plugin.workerinput import is_rank

if TYPE_CHECKING:
    from pytest_repro.core.diagnose import Experiment, ExperimentResult

PLUGIN_NAME = "repro-hooks"


def register_hooks(session: pytest.Session) -> None:
    """Registers the hooks that marked tests need; without such tests nobody pays for them."""
    config = session.config
    if not config.pluginmanager.has_plugin(PLUGIN_NAME):
        set_session_user_code(session)
        config.pluginmanager.register(ReproHooks(session), PLUGIN_NAME)
        rows.collect_rows(config)


class ReproHooks:
    """Leads each marked test through its runs."""

    def __init__(self, session: pytest.Session) -> None:
        config = session.config
        self._progress = Progress(config)
        self._rehearser = Rehearser(config, self)
        self._others = OtherProcesses(session, self._progress, self._rehearser, rows.make_failing_row)
        self._plugins, self._late_diagnosis = config.pluginmanager, f"{PLUGIN_NAME}-late"
        self._judge = Judge(
            lambda *arguments: self._others.diagnoser.diagnose(*arguments), self._register_late_diagnosis
        )
        self._unseen_runs = UnseenRuns(config.stash[SETTINGS], self._progress, self._others)
        self._with_plots = rows.should_plot(config)
        config.stash[FOLDERS] = TemporaryFolders(config)
        self._runner: ItemRunner | None = None
        self._reporter: ItemReporter | None = None
        config.add_cleanup(self.close)

    def _register_late_diagnosis(self) -> None:
        if not self._plugins.has_plugin(self._late_diagnosis):  # its hooks cost every test time
            from pytest_repro.plugin.session.late_diagnosis import LateDiagnosis

            self._plugins.register(LateDiagnosis(self._judge, self.run_experiment), self._late_diagnosis)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """All runs but the last are rehearsals; the last one is pytest's own."""
        plan = item.stash.get(PLAN, None)
        if plan is None or is_setup_only(item.config) or self._others.run_whole(item, nextitem, plan):
            return (yield)
        with (
            closing(self._progress.start_test(item)) if self._progress.is_active else nullcontext(),
            self._install_runner(item, plan) as runner,
            closing(runner.trial),
        ):
            self._unseen_runs.make(ItemRuns(runner, self._rehearser))
            self._reporter = ItemReporter(runner)
            try:
                with (
                    ReplacedHooks(item, pytest_warning_recorded=SilencedHook(runner.warnings.add_last)),
                    runner.tracer.trace_run(runner.current.spec),
                ):
                    result = yield
            finally:
                for kwargs in runner.warnings.pop():
                    item.ihook.pytest_warning_recorded.call_historic(kwargs=kwargs)
        self._others.teardown_for_next(item, nextitem)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Ends the companions with the loop: others gather what they leave (coverage) next."""
        try:
            result = yield
        except BaseException as error:
            self.close(immediately=not isinstance(error, Exception))
            raise
        self.close()
        return result

    def close(self, immediately: bool = False) -> None:
        """Ends every companion; gives them a few seconds, unless *immediately*."""
        self._others.close(immediately)

    def run_in_companion(
        self, item: pytest.Item, cell: Cell, number: int, on_report: Callable[[pytest.TestReport], None]
    ) -> tuple[Trial, RunResult]:
        """Makes one run of *item* in a companion; the trial keeps its values until it is closed.

        Calls *on_report* with the reports of subtests; *number* is that of the run, from 0.
        """
        with self._install_runner(item, item.stash[PLAN]) as runner:
            runs, trial = ItemRuns(runner, self._rehearser), runner.trial
            # The session repeats a run in all ranks, or in none.
            max_attempts = 1 if is_rank(item.config) else MAX_ATTEMPTS
            with runs.silence(on_report=on_report):
                spec = replace(trial.make_spec(cell, number), traced=TRACER in item.stash)
                result = runs.run(spec, max_attempts=max_attempts)
            run = replace(result.run, warnings=runner.warnings.pop_records())
            if is_rank(item.config) and run.outcome == "passed":
                # The session sees no report of a tear-down that failed.
                run = apply_phase_outcome(run, [each for each in runs.reports if each.when == "teardown"])
            return trial, RunResult(run, result.recording)

    def run_experiment(self, item: pytest.Item, experiment: Experiment) -> ExperimentResult:
        """Makes the runs of *experiment* on *item*, here or in a fork of a companion."""
        from pytest_repro.engine.experiments.run_experiment import run_experiment

        with self._install_runner(item, item.stash[PLAN]) as runner, closing(runner.trial):
            runs = ItemRuns(runner, self._rehearser)
            with runs.silence(), pause_in_packages(item):
                return run_experiment(runs, experiment)

    def _make_runner(self, item: pytest.Item, plan: Plan) -> ItemRunner:
        """The runner of *item*, in this process or in ranks, as *plan* asks."""
        if plan.ranks and not is_rank(item.config):
            return self._others.make_ranked_runner(item, plan, self._judge, self._with_plots)
        settings = item.config.stash[SETTINGS]
        trial = Trial(plan, settings.keep_mb, self._with_plots)
        fixtures = find_fixtures(item)
        return ItemRunner(item, trial, get_replay(item), self._judge, settings.control, fixtures)

    @contextmanager
    def _install_runner(self, item: pytest.Item, plan: Plan) -> Iterator[ItemRunner]:
        before, runner = (self._runner, self._reporter), self._make_runner(item, plan)
        self._runner = item.stash[RUNNER] = runner
        self._reporter = None
        vars(item).update(setup=runner.setup, runtest=runner.runtest, teardown=runner.teardown)
        try:
            with peers.wrap_runs(item, plan):
                try:
                    yield runner
                except BaseException:
                    end_fixtures(item)
                    raise
        finally:
            self._runner, self._reporter = before
            for phase in ("setup", "runtest", "teardown"):
                vars(item).pop(phase, None)
            runner.pin.release()
            if covered_hooks:
                restore_covered_functions()
            del item.stash[RUNNER]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Keeps the test's frame, as late as possible: from ``runtest`` on, 86 other calls come first."""
        runner = self._runner
        if runner is None or runner.item is not pyfuncitem:
            return (yield)
        stop = keep_frame_in_call(pyfuncitem, runner.current, runner.trial.plan.capture)
        try:
            return (yield)
        finally:
            stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Makes fixtures wider than the test once, in the world as it is without the plugin."""
        if fixturedef.scope != "function":
            with make_wider_fixture(fixturedef, request, lambda: self._runner):
                return (yield)
        with note_request(request.node) if fixturedef.argname == "repro" else nullcontext():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Adds the verdict to the last run's reports."""
        runner, reporter = self._runner, self._reporter
        if runner is None:
            return (yield)
        if call.excinfo is not None:
            strip_own_frames(call.excinfo.tb)
            if isinstance(call.excinfo.value, NotReproducible) and runner.current.finished is None:
                runner.current.note_assertion_error(call.excinfo.value)
        if reporter is not None and call.when == "setup" and runner.setup_output.has_wider_fixtures:
            runner.setup_output.restore()
        report = yield
        if runner.item is item:
            if reporter is not None:
                reporter.update(call, report)
            elif call.when == "call" and call.excinfo is not None:
                runner.note_failure_after_body(call.excinfo.value, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        """Unmutes the output of a rehearsal that stops in the debugger."""
        for stream in (sys.stdout, sys.stderr):
            getattr(stream, "unmute", int)()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes subtests that fail: they do not fail the body."""
        if self._runner is not None:
            if self._progress.is_shown:
                self._progress.close()  # reporters may now write a line of their own
            if report.failed and self._runner.current.finished is None:
                self._runner.current.note_subtest_report(report)
