"""The hooks of a session with marked tests: rehearse, run for real, report."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest

from pytest_repro.core.diagnose.experiment import Experiment, Tried
from pytest_repro.core.diagnose.finding import Root
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.experiments.line_trace import unwatched
from pytest_repro.engine.experiments.run_experiment import perform
from pytest_repro.engine.runs.pin import seeded_apart
from pytest_repro.engine.runs.recording import Recorded
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin import PLAN, SETTINGS, peers
from pytest_repro.plugin.pytest_internals import autouse, only_shown, outliving
from pytest_repro.plugin.remote.axis_companions import Elsewhere
from pytest_repro.plugin.remote.diagnosis import Inquiries
from pytest_repro.plugin.remote.rank_session import inside
from pytest_repro.plugin.run.item_runner import ACT, Act
from pytest_repro.plugin.run.outcome import without_body
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.rehearse import Rehearser
from pytest_repro.plugin.run.silence import both, silence
from pytest_repro.plugin.run.traceback_filter import without_own_frames
from pytest_repro.plugin.session import item_report, rows
from pytest_repro.plugin.session.rehearsals import Rehearsals

NAME = "repro-conductor"

Counting = Callable[[Act], Sequence[pytest.TestReport]]
Heard = Callable[[pytest.TestReport], None]


def wake(session: pytest.Session) -> None:
    """Registers the hooks that marked tests need; without any, nobody pays for them."""
    config = session.config
    if not config.pluginmanager.has_plugin(NAME):
        config.pluginmanager.register(Conductor(session), NAME)
        rows.listen(config)


class Conductor:
    """Leads each marked test through its runs."""

    def __init__(self, session: pytest.Session) -> None:
        config = session.config
        self._progress = Progress(config)
        self._elsewhere = Elsewhere(session, self._progress)
        self._inquiries = Inquiries(session, self._progress)
        config.add_cleanup(self.close)
        self._pictured = rows.pictured(config)
        self._keep_mb, self._trace = config.stash[SETTINGS].keep_mb, config.stash[SETTINGS].trace
        rehearser = Rehearser(config.pluginmanager, self)
        self._rehearsals = Rehearsals(rehearser, self._progress, config)
        self._act: Act | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """All runs but the last are rehearsals; the last one is pytest's own."""
        plan = item.stash.get(PLAN, None)
        if plan is None or only_shown(item.config):
            return (yield)
        acting = self._acting(item, plan, self._pictured)
        with self._progress.test(item), acting as act, closing(act.trial):
            act.explained = lambda verdict: self._inquiries.explained(item, verdict)
            act.tracer.on = self._trace and not plan.ranks
            if not act.last or self._rehearsals.more(act):
                self._rehearse(act)
            with act.tracer.run(act.trial.last):
                result = yield
            for kwargs in act.warnings.unheard():
                item.ihook.pytest_warning_recorded.call_historic(kwargs=kwargs)
        self._elsewhere.ended(item, nextitem)
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
        self._inquiries.close()
        self._elsewhere.close(at_once)

    def apart(self, item: pytest.Item, cell: Cell, number: int, hear: Heard) -> tuple[Trial, Run, Recorded]:
        """One run of *item* in a companion; the trial keeps its values until it is closed.

        Args:
            item: The test.
            cell: Under what it is run.
            number: The run's number, from 0.
            hear: Called with the reports of subtests.
        """
        with self._acting(item, item.stash[PLAN]) as act:
            act.turn(cell, number)
            with peers.rehearsing(item), silence(item, both(act.hear, hear), act.warnings.keep):
                # In a rank such a run is told of: all of them must make the next one, or none.
                reports = self._rehearsals.counting(act, spares=not inside(item.config))
            run = replace(act.finished(reports), warned=act.warnings.given())
            if inside(item.config) and run.outcome == "passed":
                # No report of a tear-down that failed is seen; nor is what a marker xfail made of a body.
                run = without_body(run, [each for each in reports if each.when == "teardown"])
            return act.trial, run, act.recorded

    def perform(self, item: pytest.Item, experiment: Experiment) -> Tried:
        """The runs of *experiment* on *item*, in a fork of a companion."""
        with self._acting(item, item.stash[PLAN]) as act, closing(act.trial):
            act.suspended, act.tracer.on = experiment.suspended, experiment.traced
            with peers.rehearsing(item), silence(item, act.hear, act.warnings.keep):
                return perform(_ActStage(act, self._rehearsals.counting), experiment)

    @contextmanager
    def _acting(self, item: pytest.Item, plan: Plan, pictured: bool = False) -> Iterator[Act]:
        act = self._act = item.stash[ACT] = self._elsewhere.act(item, plan, self._keep_mb, pictured)
        vars(item).update(setup=act.setup, runtest=act.runtest, teardown=act.teardown)
        try:
            with peers.acting(item, plan):
                yield act
        finally:
            self._act = None
            for phase in ("setup", "runtest", "teardown"):
                vars(item).pop(phase, None)
            act.pin.release()
            del item.stash[ACT]

    def _rehearse(self, act: Act) -> None:
        """All runs but the last, here and elsewhere; then turns to that one."""
        act.last = False
        self._elsewhere.ask(act)
        self._rehearsals.made(act)
        act.turn(act.trial.last)
        act.last, act.shown = True, lambda: self._progress.last(act.trial)
        self._elsewhere.gather(act)
        self._progress.close()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Watches for the test's function as late as can be: what comes before is pytest's own.

        Watched from ``runtest`` on, 86 calls would be heard of before the test's.
        """
        if self._act is None or self._act.item is not pyfuncitem:
            return (yield)
        with self._act.watching():
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
                self._let_go(stack)
                if self._act is not None:
                    self._act.output.wide = True
                    stack.enter_context(unwatched())
                if self._act is not None and not autouse(fixturedef, request.session):
                    stack.enter_context(seeded_apart(self._act.plan.seed))
                return (yield)
        finally:
            fixturedef.addfinalizer(lambda: self._let_go(world))

    def _let_go(self, stack: ExitStack) -> None:
        if self._act is not None:
            stack.enter_context(self._act.pin.let_go())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hangs the verdict on the last run's reports."""
        act = self._act
        if act is not None and call.excinfo is not None:
            without_own_frames(call.excinfo.tb)
        if act is not None and act.last and call.when == "setup":
            act.output.give()
        report = yield
        if act is None or act.item is not item:
            return report
        if act.last:
            item_report.explain(act, call, report)
        elif call.when == "call" and call.excinfo is not None:
            act.broke_after_body(call.excinfo.value, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        """A test that stops in the debugger must be heard, in a rehearsal too."""
        for stream in (sys.stdout, sys.stderr):
            getattr(stream, "unmute", int)()

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """A warning of the last run is told: none of the rehearsals' need be."""
        if self._act is not None:
            self._act.warnings.told(warning_message)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hears of subtests that fail: they do not fail the body."""
        if self._act is not None:
            self._progress.close()  # what reporters write now may take a line of its own
            self._act.hear(report)


class _ActStage:
    """Runs a test once more for an experiment."""

    def __init__(self, act: Act, counting: Counting) -> None:
        self.trial, self._act, self._counting = act.trial, act, counting

    def once(self, cell: Cell, number: int, entered: Callable[[], None]) -> tuple[Run, Recorded]:
        self._act.entered = entered
        self._act.turn(cell, number)
        try:
            reports = self._counting(self._act)
        finally:
            self._act.pin.rest()  # before what listens and traces is put back, which it lies upon
        return self._act.finished(reports), self._act.recorded

    def roots(self) -> dict[str, Root]:
        """Fixtures that outlive the test, and its parameters."""
        return outliving(self._act.item)
