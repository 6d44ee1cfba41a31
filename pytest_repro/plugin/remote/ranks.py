"""Runs of tests in ranks: one group for each world size, started when it is first needed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.companions.rank_group import RankGroup
from pytest_repro.companions.serialize_run import decode_run
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.runs.join_ranks import RankRun, join_observations, join_runs, select_worst, split_rank
from pytest_repro.core.runs.observation import Key
from pytest_repro.core.runs.run import SUBTEST_ERROR, Run, RunSpec
from pytest_repro.engine.runs.remote_run import RemoteRecording, ValueFetcher, encode_cell, fetch_value
from pytest_repro.engine.runs.run_source import run_until_settled
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin import peers
from pytest_repro.plugin.exceptions import CompanionLost, RankFailed
from pytest_repro.plugin.judge.rank_divergence import RankTracer
from pytest_repro.plugin.pytest_internals import add_failed_subtests, decode_subtest_report, get_basetemp
from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
from pytest_repro.plugin.remote.rank_server import RankResult
from pytest_repro.plugin.replay_line import format_nodeid
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.tracing import CellKey
from pytest_repro.plugin.workerinput import RANK_KEY, WORLD_SIZE_KEY


class RankedRun(NamedTuple):
    """A run made in ranks, joined; *fetch* fetches its values until the next run."""

    run: Run
    recording: RemoteRecording
    fetch: ValueFetcher
    xfail_reason: str | None
    results: Mapping[int, RankResult]


class RankGroups:
    """Runs tests in ranks.

    A group lives as long as the session, since each rank pays for importing torch and for collecting.
    Each run has its own torch process group.
    """

    def __init__(self, launcher: CompanionLauncher, progress: Progress) -> None:
        self._launcher, self._progress = launcher, progress
        self.pool = CompanionPool[int, RankGroup](max_losses=None)

    def run(self, item: pytest.Item, size: int, spec: RunSpec) -> RankedRun:
        """Makes one run of *item* in *size* ranks.

        Raises:
            InterpreterLost: A rank died, hangs, or could not be started.
        """
        with peers.wrap_pause(item):  # the test's time limit does not cover what starts once per session
            group = self._get_group(size)
        try:
            results = run_until_settled(
                lambda: self._run_once(group, item, spec),
                lambda results: len(results) < size or all(result.settled for result in results.values()),
            )
        except pytest.fail.Exception as timeout:  # from pytest-timeout
            locations = group.describe_locations()
            self.pool.drop(size)
            raise InterpreterLost(f"{timeout}\n{locations}") from None
        except BaseException:
            self.pool.drop(size)
            raise
        ranked_run = _join_results(group, results, spec.cell)
        if len(results) < size:  # one has failed, so that others hang
            self.pool.drop(size)
        return ranked_run

    def compare(self, size: int, *keys: CellKey) -> dict[int, str]:
        """What each rank reports of two of its traced runs, encoded."""
        group = self.pool.get_running(size)
        group.send("compare", *keys)
        answers = group.collect_answers("while it compared traces", lambda answer: False)
        return {rank: text for rank, (_, text) in answers.items()}

    def _run_once(self, group: RankGroup, item: pytest.Item, spec: RunSpec) -> dict[int, RankResult]:
        group.send(
            "trace" if spec.traced else "run",
            *self._launcher.item_keys[item],
            spec.number,
            *encode_cell(spec.cell),
        )
        answers = group.collect_answers("in the test", _has_failed)
        for word, answer in (each[:2] for each in answers.values()):
            if word != "ran":  # the rank has not collected the test
                raise InterpreterLost(f"a rank {answer}")
        return {rank: RankResult(*answer[1:]) for rank, answer in sorted(answers.items())}

    def _get_group(self, size: int) -> RankGroup:
        try:
            with self.pool.using(size, partial(self._start_group, size)) as group:
                collect, activity = group.collect_answers, "while the tests were collected"
                self.pool.await_ready(size, lambda _: collect(activity, lambda answer: False))
                return group
        except InterpreterLost as lost:
            raise InterpreterLost(f"{size} ranks could not be started: {lost}") from None

    def _start_group(self, size: int) -> RankGroup:
        self._progress.show(f"starting {size} ranks")
        launcher = self._launcher
        if find_spec("torch") is None:
            raise InterpreterLost("torch is not installed")
        if why := launcher.explain_unpicklable_plugin():
            raise InterpreterLost(why)
        orders = [self._build_order(size, rank) for rank in range(size)]
        folder = get_basetemp(launcher.config)
        return RankGroup(orders, launcher.paths, launcher.environ, launcher.timeout, folder)

    def _build_order(self, size: int, rank: int) -> dict[str, Any]:
        order = self._launcher.build_order(f"{size} ranks {rank}")
        order["workerinput"] |= {RANK_KEY: rank, WORLD_SIZE_KEY: size}
        if self._launcher.config.getoption("capture", None) == "no":  # this session prints what ranks print
            order["args"].append("--capture=sys")
        return order


def _has_failed(message: Any) -> bool:
    return message[0] != "ran" or RankResult(*message[1:]).outcome == "failed"


def _join_results(group: RankGroup, results: Mapping[int, RankResult], cell: Cell) -> RankedRun:
    parts = [
        RankRun(rank, *decode_run(result.encoded_run, cell), result.end_time, result.xfail_reason)
        for rank, result in results.items()
    ]
    # Over several numbers of ranks, what only some of them have cannot be compared.
    compared = [part for part in parts if part.rank == 0] if "ranks" in cell.setting else parts
    run, observations = join_runs(parts), {each.key: each for each in join_observations(compared)}
    run = replace(run, observation_count=len(observations))
    recording = RemoteRecording(observations, run.not_compared)
    return RankedRun(run, recording, partial(_fetch, group), select_worst(parts).xfail_reason, results)


def _fetch(group: RankGroup, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
    rank, own_key = split_rank(key)
    return fetch_value(group.ranks[rank], own_key, logits)


class RankLost(CompanionLost):
    """Fails a test one of whose ranks died or hangs."""


RankLost.__module__ = "builtins"


class RankedItemRunner(ItemRunner):
    """Runs an item in ranks, which set up its fixtures; this process does not."""

    def __init__(self, rank_groups: RankGroups, item: pytest.Item, trial: Trial, *args: Any) -> None:
        super().__init__(item, trial, *args)
        self.tracer = RankTracer(item, trial, rank_groups)
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
        """Does nothing: the ranks tear the item down."""

    def _run_in_ranks(self) -> RankedRun:
        __tracebackhide__ = True
        spec = self.current.spec
        if self._loss_reason:
            raise self._abandon(self._loss_reason)
        try:
            size: Any = spec.cell.setting.get("ranks", self.plan.ranks)
            ranked_run = self._rank_groups.run(self.item, size, spec)
            run, recording = ranked_run.run, ranked_run.recording
            self.trial.measure_remote(spec.cell, run, recording, ranked_run.fetch)
        except InterpreterLost as lost:
            raise self._abandon(str(lost)) from None
        self.current.finished, self.current.final_recording = run, recording
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
    item.user_properties.extend(_iter_properties(ranked_run.results))
    for rank, result in results:
        for text in result.subtests:
            report = decode_subtest_report(item.config, rank, text)
            add_failed_subtests(item, int(report.failed))
            item.ihook.pytest_runtest_logreport(report=report)


def _iter_properties(results: Mapping[int, RankResult]) -> Iterator[tuple[str, Any]]:
    """Properties for the test's report: those of the first rank, and those of others that differ."""
    first = next(iter(results.values()))
    yield from first.properties
    for rank, result in results.items():
        different = (each for each in result.properties if each not in first.properties)
        yield from ((f"rank{rank}.{name}", value) for name, value in different)
