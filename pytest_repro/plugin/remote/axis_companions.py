"""The companions of a session: started on first need, used beside the runs here, ended with it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from pytest_repro.axes import get_axis
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.remote_run import encode_cell, receive_run
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.pytest_internals import get_basetemp
from pytest_repro.plugin.remote.companion_session import ItemKey, iter_item_keys
from pytest_repro.plugin.remote.rank_groups import RankGroups
from pytest_repro.plugin.remote.ranked_runner import RankedItemRunner
from pytest_repro.plugin.remote.workerinput import build_companion_order, explain_unpicklable_plugin
from pytest_repro.plugin.run.item_runner import ItemRunner, JudgeProtocol
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.replay import get_replay
from pytest_repro.plugin.stash import SETTINGS
from pytest_repro.plugin.workerinput import is_rank
from pytest_repro.reports.failure.runs import format_in_run

_MAX_LOSSES = 3
"""Losses in a row after which the companion of a setting is not started again."""

_Setting = tuple[str, object]


class AxisCompanions:
    """Runs tests in other interpreters, one for each setting, and fetches what they recorded."""

    def __init__(self, session: pytest.Session, progress: Progress) -> None:
        self._config, self._progress = session.config, progress
        # As before any test: a test that forgets to undo its changes affects no companion.
        self._environment = list(sys.path), dict(os.environ)
        self._argv = list(sys.argv)
        self._item_keys: dict[pytest.Item, ItemKey] = {
            item: place for place, item in iter_item_keys(session.items)
        }
        self._companions: dict[_Setting, Companion] = {}
        self._give_up_reasons: dict[_Setting, str] = {}
        self._loss_counts: Counter[_Setting] = Counter()
        self._ready: set[_Setting] = set()
        self._queue: list[tuple[int, Cell]] = []
        self._pending: list[tuple[int, Cell]] = []
        self._rank_groups: RankGroups | None = None
        if not is_rank(session.config):
            self._rank_groups = RankGroups(
                session.config, self._item_keys, self._environment, self._argv, progress
            )

    def make_runner(
        self, item: pytest.Item, plan: Plan, judge: JudgeProtocol, with_plots: bool
    ) -> ItemRunner:
        """The runner of *item*, in this process or in ranks, as *plan* asks."""
        settings = self._config.stash[SETTINGS]
        if plan.ranks and self._rank_groups is not None:
            _import_torch_for_devices(plan)
            trial = Trial(plan, settings.keep_mb, with_plots)
            return RankedItemRunner(self._rank_groups, item, trial, get_replay(item), judge)
        trial = Trial(plan, settings.keep_mb, with_plots)
        return ItemRunner(item, trial, get_replay(item), judge, track_generators=settings.control)

    def start_runs(self, runner: ItemRunner) -> None:
        """Starts a test's runs in companions, as many as there are spare cores."""
        has_remote_axes = any(axis.remote for axis in runner.plan.vary)
        if not has_remote_axes or runner.item.get_closest_marker("skip") is not None:
            return
        cells = list(runner.trial.remote_cells())
        self._queue, self._pending = list(enumerate(cells, runner.trial.planned_run_count)), []
        for _ in range(min(len(cells), _count_cores() - 1)):
            self._start_next_run(runner)

    def _start_next_run(self, runner: ItemRunner) -> None:
        if not self._queue:
            return
        number, cell = self._queue.pop(0)
        try:
            self._get_companion(cell).send("run", *self._item_keys[runner.item], number, *encode_cell(cell))
            self._pending.append((number, cell))
        except InterpreterLost as lost:
            self._record_loss(runner, cell, lost)
            self._start_next_run(runner)

    def _get_companion(self, cell: Cell) -> Companion:
        setting = cell.repeat_of or (cell.axis, cell.value)
        if setting in self._give_up_reasons:
            raise InterpreterLost(self._give_up_reasons[setting])
        if setting not in self._companions:
            interpreter = get_axis(setting[0]).build_interpreter(setting[1])
            timeout = self._config.stash[SETTINGS].companion_timeout
            name = f"{setting[0]} {setting[1]}"
            if why := explain_unpicklable_plugin(self._config):
                raise InterpreterLost(f"the companion for {interpreter.name} could not be started: {why}")
            told = build_companion_order(
                self._config, name, interpreter.local, get_basetemp(self._config), self._argv
            )
            self._progress.show(f"starting {interpreter.name}")
            paths, environ = self._environment
            self._companions[setting] = Companion(interpreter, told, paths, timeout, environ)
        return self._companions[setting]

    def receive_runs(self, runner: ItemRunner) -> None:
        """Waits for every run of a test in companions, and measures what differs."""
        while self._pending or self._queue:
            if not self._pending:
                self._start_next_run(runner)
                continue
            number, cell = self._pending.pop(0)
            try:
                self._receive_run(runner, cell)
                if cell.repeat_of is None and runner.trial.differs(cell):
                    self._queue.insert(0, (number, cell.as_repeat()))
            except InterpreterLost as lost:
                self._record_loss(runner, cell, lost)
            self._start_next_run(runner)

    def _receive_run(self, runner: ItemRunner, cell: Cell) -> None:
        setting = cell.repeat_of or (cell.axis, cell.value)
        companion = self._companions[setting]
        there = companion.interpreter.name
        if setting not in self._ready:
            companion.receive(
                "while it collected the tests", on_wait=self._make_wait_callback(f"collecting in {there}")
            )
            self._ready.add(setting)
        word, said = companion.receive(
            "while it ran the test", on_wait=self._make_wait_callback(f"running in {there}")
        )
        if word == "unknown":
            runner.trial.add_lost(cell, f"the companion for {there} {said}")
            return
        given = receive_run(runner.trial, companion, cell, said).warnings
        runner.warnings.add_records(given, runner.item.nodeid, format_in_run(cell))
        self._loss_counts.pop(setting, None)

    def _make_wait_callback(self, activity: str) -> Callable[[], None]:
        return lambda: self._progress.show_elapsed(activity)

    def _record_loss(self, runner: ItemRunner, cell: Cell, error: InterpreterLost) -> None:
        runner.trial.add_lost(cell, str(error))
        setting = cell.repeat_of or (cell.axis, cell.value)
        companion = self._companions.pop(setting, None)
        if companion is not None:
            companion.kill()
        self._loss_counts[setting] += 1
        if setting not in self._ready:  # another start would fail likewise
            self._give_up_reasons.setdefault(setting, str(error))
        elif self._loss_counts[setting] >= _MAX_LOSSES:
            again = f"not started again: {_MAX_LOSSES} were lost in a row, the last in {runner.item.nodeid}"
            self._give_up_reasons.setdefault(setting, f"{str(error).partition(' died')[0]} was {again}")
        self._ready.discard(setting)

    def teardown_for_next(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Has companions tear down what the next test does not need."""
        if nextitem is not None and nextitem.parent is item.parent:
            return
        place = self._item_keys.get(nextitem, (None, 0)) if nextitem is not None else (None, 0)
        if self._rank_groups is not None:
            self._rank_groups.teardown_for_next(*place)
        for setting in self._ready & set(self._companions):
            try:
                self._companions[setting].send("end", *place)
            except InterpreterLost:  # reported when it is used again
                self._companions.pop(setting).kill()

    def close(self, at_once: bool = False) -> None:
        """Ends every companion; gives them a few seconds, unless *at_once*."""
        companions = list(self._companions.values())
        self._companions.clear()
        if self._rank_groups is not None:
            self._rank_groups.close(at_once)
        if not at_once:
            for companion in companions:
                companion.request_exit()
        for companion in companions:
            companion.kill() if at_once else companion.join_or_kill()


def _import_torch_for_devices(plan: Plan) -> None:
    """torch knows which values of the axes are available on this machine."""
    if plan.vary and "torch" not in sys.modules:
        with suppress(ImportError):
            import torch  # noqa: F401


def _count_cores() -> int:
    found = getattr(os, "sched_getaffinity", None)
    return len(found(0)) if found else os.cpu_count() or 1
