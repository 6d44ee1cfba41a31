"""The companions of a session: started when first needed, asked beside the runs here, ended."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from pytest_repro.axes import named
from pytest_repro.companions.companion import Companion, Lost
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.remote_run import plain, take
from pytest_repro.plugin import SETTINGS
from pytest_repro.plugin.pytest_internals import basetemp
from pytest_repro.plugin.remote.companion_session import Place, places
from pytest_repro.plugin.remote.rank_groups import Ranks
from pytest_repro.plugin.remote.rank_session import inside
from pytest_repro.plugin.remote.ranked_runner import Ranked
from pytest_repro.plugin.remote.workerinput import not_handed_on, order
from pytest_repro.plugin.run.item_runner import Act
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.replay import replay_of
from pytest_repro.reports.failure.runs import where

_LOSSES = 3
"""Companions of one setting that may be lost in a row before it is given up."""

_Setting = tuple[str, object]


class Elsewhere:
    """Runs tests in other interpreters, one for each setting, and fetches what they recorded."""

    def __init__(self, session: pytest.Session, progress: Progress) -> None:
        self._config, self._progress = session.config, progress
        # As they are before any test has run: one that forgets to undo its own changes none of them.
        self._world = list(sys.path), dict(os.environ)
        self._argv = list(sys.argv)
        self._places: dict[pytest.Item, Place] = {item: place for place, item in places(session.items)}
        self._companions: dict[_Setting, Companion] = {}
        self._given_up: dict[_Setting, str] = {}
        self._losses: Counter[_Setting] = Counter()
        self._ready: set[_Setting] = set()
        self._waiting: list[tuple[int, Cell]] = []
        self._asked: list[tuple[int, Cell]] = []
        self._ranks: Ranks | None = None
        if not inside(session.config):
            self._ranks = Ranks(session.config, self._places, self._world, self._argv, progress)

    def act(self, item: pytest.Item, plan: Plan, keep_mb: int, pictured: bool) -> Act:
        """Leads *item* through its runs, in this process or in ranks, as its plan asks."""
        if not plan.ranks or self._ranks is None:
            return Act(item, plan, keep_mb, replay_of(item), pictured)
        return Ranked(self._ranks, item, plan, keep_mb, pictured)

    def ask(self, act: Act) -> None:
        """Has the runs of a test begun that belong elsewhere, as many as there are cores to spare."""
        if act.item.get_closest_marker("skip") is not None:
            return
        cells = list(act.trial.elsewhere())
        self._waiting, self._asked = list(enumerate(cells, act.plan.runs)), []
        for _ in range(min(len(cells), _cores() - 1)):
            self._ask_next(act)

    def _ask_next(self, act: Act) -> None:
        if not self._waiting:
            return
        number, cell = self._waiting.pop(0)
        try:
            self._companion(cell).send("run", *self._places[act.item], number, *plain(cell))
            self._asked.append((number, cell))
        except Lost as lost:
            self._lose(act, cell, lost)
            self._ask_next(act)

    def _companion(self, cell: Cell) -> Companion:
        setting = cell.at or (cell.axis, cell.value)
        if setting in self._given_up:
            raise Lost(self._given_up[setting])
        if setting not in self._companions:
            interpreter = named(setting[0]).interpreter(setting[1])
            timeout = self._config.stash[SETTINGS].companion_timeout
            name = f"{setting[0]} {setting[1]}"
            if why := not_handed_on(self._config):
                raise Lost(f"the companion for {interpreter.called} could not be started: {why}")
            told = order(self._config, name, interpreter.local, basetemp(self._config), self._argv)
            self._progress.say(f"starting {interpreter.called}")
            paths, environ = self._world
            self._companions[setting] = Companion(interpreter, told, paths, timeout, environ)
        return self._companions[setting]

    def gather(self, act: Act) -> None:
        """Waits for every run of a test that belongs elsewhere, and measures what differs."""
        while self._asked or self._waiting:
            if not self._asked:
                self._ask_next(act)
                continue
            number, cell = self._asked.pop(0)
            try:
                self._take(act, cell)
                if cell.at is None and act.trial.differs(cell):
                    self._waiting.insert(0, (number, cell.again()))
            except Lost as lost:
                self._lose(act, cell, lost)
            self._ask_next(act)

    def _take(self, act: Act, cell: Cell) -> None:
        setting = cell.at or (cell.axis, cell.value)
        companion = self._companions[setting]
        there = companion.interpreter.called
        if setting not in self._ready:
            companion.receive("while it collected the tests", waiting=self._waits(f"collecting in {there}"))
            self._ready.add(setting)
        word, said = companion.receive("while it ran the test", waiting=self._waits(f"running in {there}"))
        if word == "unknown":
            act.trial.lost(cell, f"the companion for {there} {said}")
            return
        given = take(act.trial, companion, cell, said).warned
        act.warnings.keep_given(given, act.item.nodeid, where(cell))
        self._losses.pop(setting, None)

    def _waits(self, doing: str) -> Callable[[], None]:
        return lambda: self._progress.since(doing)

    def _lose(self, act: Act, cell: Cell, lost: Lost) -> None:
        act.trial.lost(cell, str(lost))
        setting = cell.at or (cell.axis, cell.value)
        companion = self._companions.pop(setting, None)
        if companion is not None:
            companion.kill()
        self._losses[setting] += 1
        if setting not in self._ready:  # another start would end likewise
            self._given_up.setdefault(setting, str(lost))
        elif self._losses[setting] >= _LOSSES:
            again = f"not started again: {_LOSSES} were lost in a row, the last in {act.item.nodeid}"
            self._given_up.setdefault(setting, f"{str(lost).partition(' died')[0]} was {again}")
        self._ready.discard(setting)

    def ended(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Has companions tear down what the next test does not need, where that can be anything."""
        if nextitem is not None and nextitem.parent is item.parent:
            return
        place = self._places.get(nextitem, (None, 0)) if nextitem is not None else (None, 0)
        if self._ranks is not None:
            self._ranks.end(*place)
        for setting in self._ready & set(self._companions):
            try:
                self._companions[setting].send("end", *place)
            except Lost:  # told when it is asked again
                self._companions.pop(setting).kill()

    def close(self, at_once: bool = False) -> None:
        """Ends every companion; gives them a few seconds, unless *at_once*."""
        companions = list(self._companions.values())
        self._companions.clear()
        if self._ranks is not None:
            self._ranks.close(at_once)
        if not at_once:
            for companion in companions:
                companion.finish()
        for companion in companions:
            companion.kill() if at_once else companion.end()


def _cores() -> int:
    found = getattr(os, "sched_getaffinity", None)
    return len(found(0)) if found else os.cpu_count() or 1
