"""Runs of a test in ranks."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.core.runs.run import SUBTEST_ERROR
from pytest_repro.engine.replay import Replay
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.exceptions import CompanionLost, RankFailed, format_nodeid
from pytest_repro.plugin.pytest_internals import add_failed_subtests, decode_subtest_report
from pytest_repro.plugin.remote.rank_groups import RankedRun, RankGroups
from pytest_repro.plugin.run.item_runner import ItemRunner, JudgeProtocol


class RankLost(CompanionLost):
    """Fails a test one of whose ranks died or hangs."""


RankLost.__module__ = "builtins"


class RankedItemRunner(ItemRunner):
    """Runs an item in ranks, which set up its fixtures; this process does not."""

    def __init__(
        self, rank_groups: RankGroups, item: pytest.Item, trial: Trial, replay: Replay, judge: JudgeProtocol
    ) -> None:
        super().__init__(item, trial, replay, judge)
        self._rank_groups, self._loss_reason = rank_groups, ""

    @property
    def is_abandoned(self) -> bool:
        return bool(self._loss_reason)

    def setup(self) -> None:
        __tracebackhide__ = True
        self._start_setup()

    def runtest(self) -> None:
        __tracebackhide__ = True
        self.current.body_started = True
        if self._failure is not None:  # a rerun must not retry a mismatch away
            raise self._failure
        ranked_run = self._run_in_ranks()
        run = ranked_run.run
        if self.current.spec.reported:
            _forward_output(self.item, ranked_run)
            self._raise_failure(run, None)
        if run.outcome == "skipped":
            raise pytest.skip.Exception(run.error, _use_item_location=True)
        if run.outcome == "failed" and run.error_type != SUBTEST_ERROR:  # pytest itself reports subtests
            raise RankFailed(f"{run.error}\n\n{run.traceback}", ranked_run.xfail_reason)

    def teardown(self) -> None:
        """Does nothing."""

    def _run_in_ranks(self) -> RankedRun:
        __tracebackhide__ = True
        spec = self.current.spec
        try:
            if self._loss_reason:
                raise InterpreterLost(self._loss_reason)
            ranked_run = self._rank_groups.run(self.item, self.plan.ranks, spec)
            run, recording = ranked_run.run, ranked_run.recording
            self.trial.measure_remote(spec.cell, run, recording, ranked_run.fetch)
        except InterpreterLost as lost:
            raise self._abandon(str(lost)) from None
        self.current.finished, self.current.remote_recording = run, recording
        self.warnings.add_records(run.warnings, self.item.nodeid)
        return ranked_run

    def _abandon(self, reason: str) -> RankLost:
        if not self._loss_reason:
            self._loss_reason = reason
            self.trial.add_lost(self.current.spec.cell, reason)
        if self.current.spec.reported:
            self.verdict = self.trial.compute_verdict()
        return RankLost(f"{format_nodeid(self.item)}: {reason}", pytrace=False)

    def finish_rehearsal(self, reports: Any) -> None:
        if not self._loss_reason:
            super().finish_rehearsal(reports)


def _forward_output(item: pytest.Item, ranked_run: RankedRun) -> None:
    """Forwards what the ranks printed, their properties and reports of subtests."""
    capture = item.config.getoption("capture", None)
    results = ranked_run.results.items()
    for rank, (when, stream, text) in ((rank, part) for rank, result in results for part in result.sections):
        live = capture in ("no", "tee-sys") and stream in ("stdout", "stderr")
        if live:
            lines = "".join(f"rank {rank}: {line}\n" for line in text.splitlines())
            print(lines, end="", file=getattr(sys, stream), flush=True)
        if not live or capture == "tee-sys":
            item.add_report_section(when, f"{stream} of rank {rank}", text)
    item.user_properties.extend(ranked_run.properties)
    for rank, result in results:
        for text in result.subtests:
            report = decode_subtest_report(item.config, rank, text)
            add_failed_subtests(item, int(report.failed))
            item.ihook.pytest_runtest_logreport(report=report)
