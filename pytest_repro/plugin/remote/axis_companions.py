"""Runs of tests in companions, one for each setting of an axis, beside the runs in this process."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager, suppress
from functools import partial

import pytest

from pytest_repro.axes import get_axis
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.core.machine import count_cores
from pytest_repro.core.plan.plan import Cell, Plan
from pytest_repro.engine.runs.remote_run import encode_cell, receive_run
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
from pytest_repro.plugin.remote.ranks import RankedItemRunner, RankGroups
from pytest_repro.plugin.run.item_run import JudgeProtocol
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.replay import get_replay
from pytest_repro.plugin.stash import SETTINGS
from pytest_repro.reports.failure.runs import format_in_run

_Setting = tuple[str, object]


class AxisCompanions:
    """Runs tests in other interpreters, one for each setting, and fetches what they recorded."""

    def __init__(self, launcher: CompanionLauncher, progress: Progress) -> None:
        self._launcher, self._progress = launcher, progress
        self._rank_groups = RankGroups(launcher, progress)
        self._pool = CompanionPool[_Setting, Companion]()
        self._queue, self._pending = deque[tuple[int, Cell]](), deque[tuple[int, Cell]]()

    def make_ranked_runner(
        self, item: pytest.Item, plan: Plan, judge: JudgeProtocol, with_plots: bool
    ) -> ItemRunner:
        """The runner of *item*, whose *plan* asks for ranks."""
        if plan.vary:
            with suppress(ImportError):  # the axes ask it which values are available on this machine
                import torch  # noqa: F401
        trial = Trial(plan, self._launcher.config.stash[SETTINGS].keep_mb, with_plots)
        return RankedItemRunner(self._rank_groups, item, trial, get_replay(item), judge)

    def start_runs(self, runner: ItemRunner) -> None:
        """Starts a test's runs in companions, as many as there are spare cores."""
        if runner.item.get_closest_marker("skip") is not None:
            return
        cells = list(runner.trial.remote_cells())
        self._pending.clear()
        self._queue = deque(enumerate(cells, runner.trial.planned_run_count))
        for _ in range(min(len(cells), count_cores() - 1)):
            self._start_next_run(runner)

    def _start_next_run(self, runner: ItemRunner) -> None:
        while self._queue:
            number, cell = self._queue.popleft()
            try:
                with self._use_companion(runner, cell) as companion:
                    key = self._launcher.item_keys[runner.item]
                    companion.send("run", *key, number, *encode_cell(cell))
            except InterpreterLost as lost:
                runner.trial.add_lost(cell, str(lost))
                continue
            self._pending.append((number, cell))
            return

    def _use_companion(self, runner: ItemRunner, cell: Cell) -> AbstractContextManager[Companion]:
        setting = _get_setting(cell)
        return self._pool.using(setting, partial(self._start_companion, *setting), runner.item.nodeid)

    def _start_companion(self, axis: str, value: object) -> Companion:
        interpreter = get_axis(axis).build_interpreter(value)
        if why := self._launcher.explain_unpicklable_plugin():
            raise InterpreterLost(f"the companion for {interpreter.name} could not be started: {why}")
        self._progress.show(f"starting {interpreter.name}")
        return self._launcher.start(interpreter, f"{axis} {value}", self._launcher.timeout)

    def receive_runs(self, runner: ItemRunner) -> None:
        """Waits for every run of a test in companions, and measures what differs."""
        while self._pending or self._queue:
            if self._pending:
                number, cell = self._pending.popleft()
                try:
                    self._receive_run(runner, number, cell)
                except InterpreterLost as lost:
                    runner.trial.add_lost(cell, str(lost))
            self._start_next_run(runner)

    def _receive_run(self, runner: ItemRunner, number: int, cell: Cell) -> None:
        setting = _get_setting(cell)
        with self._use_companion(runner, cell) as companion:
            self._pool.await_ready(setting, self._await_collection)
            on_wait = partial(self._progress.show_elapsed, f"running in {companion.interpreter.name}")
            word, answer = companion.receive("while it ran the test", on_wait=on_wait)
            if word == "unknown":
                runner.trial.add_lost(cell, f"{companion.name} {answer}")
                return
            warnings = receive_run(runner.trial, companion, cell, answer).warnings
            runner.warnings.add_records(warnings, runner.item.nodeid, format_in_run(cell))
            self._pool.confirm(setting)
            if cell.repeat_of is None and runner.trial.differs(cell):
                self._queue.appendleft((number, cell.as_repeat()))

    def _await_collection(self, companion: Companion) -> None:
        on_wait = partial(self._progress.show_elapsed, f"collecting in {companion.interpreter.name}")
        companion.receive("while it collected the tests", on_wait=on_wait)

    def teardown_for_next(self, *key: object) -> None:
        """Has companions tear down what the test of that *key* does not need."""
        self._rank_groups.pool.broadcast("end", *key)
        self._pool.broadcast("end", *key)

    def close(self, immediately: bool = False) -> None:
        """Ends every companion, after some seconds to exit by itself unless *immediately*."""
        self._rank_groups.pool.close(immediately)
        self._pool.close(immediately)


def _get_setting(cell: Cell) -> _Setting:
    return cell.repeat_of or (cell.axis, cell.value)
