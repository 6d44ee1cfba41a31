"""A test whose every run is made in ranks: nothing of it runs here, what they did is put together."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pytest

from pytest_repro.companions.companion import Lost
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import SUBTEST
from pytest_repro.plugin.exceptions import CompanionLost, RankFailed, called, none_there
from pytest_repro.plugin.pytest_internals import count_failed_subtests, subtest_of
from pytest_repro.plugin.remote.rank_groups import Made, Ranks
from pytest_repro.plugin.run.item_runner import Act
from pytest_repro.plugin.run.replay import replay_of


class RankLost(CompanionLost):
    """Fails a test of which a rank died or hangs."""


RankLost.__module__ = "builtins"


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
        made = self._made()
        run = made.run
        if self.last:
            tell(self.item, made)
            self._judge(run, None)
        if run.outcome == "skipped":
            raise pytest.skip.Exception(run.error, _use_item_location=True)
        if run.outcome == "failed" and run.error_type != SUBTEST:  # of subtests pytest says it itself
            raise RankFailed(f"{run.error}\n\n{run.traceback}", made.expected)

    def teardown(self) -> None:
        """Has nothing to tear down."""

    def _made(self) -> Made:
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
        self.warnings.keep_given(made.run.warned, self.item.nodeid)
        return made

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


def tell(item: pytest.Item, made: Made) -> None:
    """Gives out what was heard in the ranks of a last run: prints, properties, reports of subtests."""
    capture = item.config.getoption("capture", None)
    for rank, (when, stream, text) in made.sections:
        live = capture in ("no", "tee-sys") and stream in ("stdout", "stderr")
        if live:
            lines = "".join(f"rank {rank}: {line}\n" for line in text.splitlines())
            print(lines, end="", file=getattr(sys, stream), flush=True)
        if not live or capture == "tee-sys":
            item.add_report_section(when, f"{stream} of rank {rank}", text)
    item.user_properties.extend(made.properties)
    for rank, answer in made.answers.items():
        for text in answer.subtests:
            report = subtest_of(item.config, rank, text)
            count_failed_subtests(item, int(report.failed))
            item.ihook.pytest_runtest_logreport(report=report)
