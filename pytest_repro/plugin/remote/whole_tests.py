"""Tests that run in another interpreter with all their runs, since an axis has one value, which needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from pytest_repro.adapters import environment
from pytest_repro.axes import get_axis
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import AxisValues, Plan, make_reference_cell
from pytest_repro.core.runs.run import RecordedWarning
from pytest_repro.engine.runs.availability import restrict_to_available
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
from pytest_repro.plugin.replay_line import format_nodeid
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.warnings import make_hook_arguments
from pytest_repro.plugin.stash import PLAN, REPORT_ATTRIBUTE
from pytest_repro.plugin.workerinput import FIXED_KEY, get_fixed_axes
from pytest_repro.reports.failure.text import format_lost_runs

MakeRow = Callable[[pytest.Item, Verdict], dict[str, Any]]


class WholeTests:
    """Runs tests in other interpreters as a whole, and publishes the reports of their last runs.

    A test with several such axes goes from one interpreter to the next.

    Args:
        launcher: Starts the interpreters.
        progress: Shows what they do.
        make_row: Makes the row of a test that fails.
    """

    def __init__(self, launcher: CompanionLauncher, progress: Progress, make_row: MakeRow) -> None:
        self._launcher, self._progress, self._make_row = launcher, progress, make_row
        self._pool = CompanionPool[tuple[str, object], Companion]()

    def run(self, item: pytest.Item, nextitem: pytest.Item | None, at: AxisValues) -> None:
        """Runs *item* at the only value of the axis *at*, which is available."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        try:
            events, there = self._run(item, nextitem, (at.axis, at.values[0]))
        except InterpreterLost as lost:
            _report_loss(item, str(lost), self._make_row)
        else:
            _Publisher(item, there).publish(events)
        finally:
            self._progress.close()
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None, setting: tuple[str, object]) -> Any:
        keys = self._launcher.item_keys
        with self._pool.using(setting, partial(self._start, *setting), item.nodeid) as companion:
            self._pool.await_ready(setting, self._await_collection)
            companion.send("protocol", *keys[item], *keys.get(nextitem, (None, 0)))  # type: ignore[arg-type]
            show = partial(self._progress.show_elapsed, f"running in {companion.interpreter.name}")
            word = "running"
            while word == "running":
                word, *answer = companion.receive("while it ran the test", on_wait=show)
            if word == "unknown":
                raise InterpreterLost(f"{companion.name} {answer[0]}")
            if word == "exit":
                raise pytest.exit.Exception(*answer)
            self._pool.confirm(setting)
            return answer

    def _start(self, axis: str, value: object) -> Companion:
        interpreter = get_axis(axis).build_interpreter(value)
        if why := self._launcher.explain_unpicklable_plugin():
            raise InterpreterLost(f"the companion for {interpreter.name} could not be started: {why}")
        self._progress.show(f"starting {interpreter.name}")
        order = self._launcher.build_order(f"only {axis} {value}", interpreter.local)
        order["workerinput"][FIXED_KEY] = [*get_fixed_axes(self._launcher.config), axis]
        if self._launcher.config.getoption("capture", None) == "no":  # this session prints what it prints
            order["args"].append("--capture=sys")
        return self._launcher.launch(interpreter, order, self._launcher.timeout)

    def _await_collection(self, companion: Companion) -> None:
        show = partial(self._progress.show_elapsed, f"collecting in {companion.interpreter.name}")
        companion.receive("while it collected the tests", on_wait=show)

    def teardown_for_next(self, *key: object) -> None:
        """Has companions tear down what the test of that *key* does not need."""
        self._pool.broadcast("end", *key)

    def close(self, immediately: bool = False) -> None:
        """Ends every companion, after some seconds to exit by itself unless *immediately*."""
        self._pool.close(immediately)


def find_remote_axis(item: pytest.Item, plan: Plan) -> AxisValues | None:
    """The axis at whose only value *item* must run elsewhere; None if it runs here.

    A test that is skipped, by a marker or because a value is unavailable, starts no interpreter.
    """
    known = get_fixed_axes(item.config)
    fixed = [each for each in plan.vary if each.remote and len(each.values) == 1 and each.axis not in known]
    if not fixed or item.get_closest_marker("skip") is not None or restrict_to_available(plan).unrunnable:
        return None
    if len(fixed) > 1:  # variables are set where the test runs, not on the way
        fixed.sort(key=lambda each: get_axis(each.axis).build_interpreter(each.values[0]).local)
    return fixed[0]


class _Publisher:
    """Publishes what a companion reported of *item*, whose environment was *there*."""

    def __init__(self, item: pytest.Item, there: dict[str, str]) -> None:
        self._item, self._there, self._printed = item, there, 0
        self._capture = item.config.getoption("capture", None)

    def publish(self, events: Iterable[tuple[str, Any]]) -> None:
        """Calls the hooks that pytest would call here."""
        config, hook = self._item.config, self._item.ihook
        for kind, data in events:
            if kind == "warning":
                kwargs = make_hook_arguments(RecordedWarning(*data), self._item.nodeid)
                hook.pytest_warning_recorded.call_historic(kwargs=kwargs)
                continue
            report = config.hook.pytest_report_from_serializable(config=config, data=data)
            if (row := getattr(report, REPORT_ATTRIBUTE, None)) is not None:
                row["key"] = id(self._item)
                self._add_environment(row)
            self._print_output(report)
            hook.pytest_runtest_logreport(report=report)

    def _add_environment(self, row: dict[str, Any]) -> None:
        here, there = environment(), self._there
        differing = {name: there[name] for name in here if there.get(name, here[name]) != here[name]}
        for run in row["runs"] if differing else ():
            run.setdefault("environment", differing)

    def _print_output(self, report: pytest.TestReport) -> None:
        """Prints what pytest would not capture here."""
        if self._capture not in ("no", "tee-sys"):
            return
        captured = [each for each in report.sections if each[0].startswith("Captured std")]
        for title, text in captured[self._printed :]:
            print(text, end="", file=sys.stderr if "stderr" in title else sys.stdout, flush=True)
        self._printed = len(captured)
        if self._capture == "no":
            report.sections = [each for each in report.sections if each not in captured]


def _report_loss(item: pytest.Item, reason: str, make_row: MakeRow) -> None:
    """Fails *item*, whose companion gave no answer."""
    plan = item.stash[PLAN]
    trial = Trial(plan)
    trial.add_lost(make_reference_cell(plan.vary, 0), reason)
    verdict = trial.compute_verdict()
    trial.close()
    text = format_lost_runs(format_nodeid(item), verdict)
    make = partial(pytest.TestReport, item.nodeid, item.location, dict.fromkeys(item.keywords, 1))
    call, end = make("failed", text, "call"), make("passed", None, "teardown")
    setattr(end, REPORT_ATTRIBUTE, make_row(item, verdict))
    for report in (call, end):
        item.ihook.pytest_runtest_logreport(report=report)
