"""A test whose every run is made in ranks: nothing of it runs here, what they did is put together."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pytest

from pytest_repro.companions.companion import Lost
from pytest_repro.core.plan import Plan
from pytest_repro.core.run import Run
from pytest_repro.plugin.act import Act
from pytest_repro.plugin.diverged import CompanionLost, called, none_there
from pytest_repro.plugin.ranks import Ranks
from pytest_repro.plugin.replays import replay_of

_Failed: Any = pytest.fail.Exception


class RankFailed(_Failed):  # type: ignore[misc]
    """Fails a test as its first rank failed, by the traceback that was made there."""


class RankLost(CompanionLost):
    """Fails a test of which a rank died or hangs."""


for _kind in (RankFailed, RankLost):
    _kind.__module__, _kind.__qualname__ = "builtins", _kind.__name__


class Ranked(Act):
    """Leads one item through its runs in ranks; its fixtures are made there, and not here."""

    def __init__(
        self, ranks: Ranks, item: pytest.Item, plan: Plan, keep_mb: int, pictured: bool
    ) -> None:  # fmt: skip
        if plan.vary and "torch" not in sys.modules:
            with suppress(ImportError):  # it knows which values are to be had here
                import torch  # noqa: F401
        super().__init__(item, plan, keep_mb, replay_of(item), pictured)
        self._ranks, self._lost = ranks, ""

    def setup(self) -> None:
        __tracebackhide__ = True
        self._begin()
        none_there(self.trial)

    def runtest(self) -> None:
        __tracebackhide__ = True
        self.ran = True
        if self._raised is not None:  # a rerun must not try a mismatch away
            raise self._raised
        run = self._made()
        if self.last:
            self._judge(run, None)
        if run.outcome == "skipped":
            raise pytest.skip.Exception(run.error, _use_item_location=True)
        if run.outcome == "failed":
            raise RankFailed(f"{run.error}\n\n{run.traceback}", pytrace=False)

    def teardown(self) -> None:
        """Has nothing to tear down."""

    def _made(self) -> Run:
        """The run that the ranks make.

        Raises:
            RankLost: They made none, now or before.
        """
        __tracebackhide__ = True
        try:
            if self._lost:
                raise Lost(self._lost)
            made = self._ranks.run(self.item, self.plan.ranks, self.cell, self.index)
            self.trial.measured(self.cell, made.run, made.recording, made.fetch)
        except Lost as lost:
            raise self._given_up(str(lost)) from None
        self._run, self.recorded = made.run, made.recording
        for each in made.run.warned:
            self.warnings.keep_given(each, self.item.nodeid, f"in {self.plan.ranks} ranks")
        if self.last:
            for section in made.sections:
                self.item.add_report_section(*section)
            self.item.user_properties.extend(made.properties)
        return made.run

    def _given_up(self, why: str) -> RankLost:
        if not self._lost:
            self._lost, self.over = why, True
            self.trial.lost(self.cell, why)
        if self.last:
            self.verdict = self.trial.verdict()
        return RankLost(f"{called(self.item)}: {why}", pytrace=False)

    def rehearsed(self, reports: Any) -> None:
        if not self._lost:
            super().rehearsed(reports)
