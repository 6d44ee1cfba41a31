"""Runs of tests in ranks: one group for each world size, started when it is first needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.companions.rank_group import RankGroup
from pytest_repro.companions.serialize_run import decode_run
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.run_spec import RunSpec
from pytest_repro.core.runs.join_ranks import RankRun, join_observations, join_runs, select_worst, split_rank
from pytest_repro.core.runs.observation import Key
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.remote_recording import RemoteRecording, ValueFetcher
from pytest_repro.engine.runs.remote_run import encode_cell, fetch_value
from pytest_repro.engine.runs.run_source import run_until_settled
from pytest_repro.plugin import peers
from pytest_repro.plugin.pytest_internals import get_basetemp
from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
from pytest_repro.plugin.remote.rank_session import Property, RankResult
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.stash import SETTINGS
from pytest_repro.plugin.workerinput import RANK_KEY, WORLD_SIZE_KEY


class RankedRun(NamedTuple):
    """A run made in ranks, joined.

    Attributes:
        fetch: Fetches values, until the next run.
        xfail_reason: Why the reported failure was expected; None if it was not.
    """

    run: Run
    recording: RemoteRecording
    fetch: ValueFetcher
    xfail_reason: str | None
    results: Mapping[int, RankResult]

    @property
    def properties(self) -> Iterator[Property]:
        """Properties for the test's report: those of the first rank, and those of others that differ."""
        first = next(iter(self.results.values()))
        yield from first.properties
        for rank, result in self.results.items():
            for name, value in result.properties:
                if (name, value) not in first.properties:
                    yield f"rank{rank}.{name}", value


class RankGroups:
    """Runs tests in ranks.

    A group lives as long as the session, since each rank pays for importing torch and for collecting.
    Each run has its own torch process group.

    Attributes:
        pool: The groups by world size.
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

    def _run_once(self, group: RankGroup, item: pytest.Item, spec: RunSpec) -> dict[int, RankResult]:
        group.send("run", *self._launcher.item_keys[item], spec.number, *encode_cell(spec.cell))
        answers = group.collect_answers("in the test", _has_failed)
        return {rank: _parse_result(answer) for rank, answer in sorted(answers.items())}

    def _get_group(self, size: int) -> RankGroup:
        with self.pool.using(size, partial(self._start_group, size)) as group:
            self.pool.await_ready(size, _await_collection)
            return group

    def _start_group(self, size: int) -> RankGroup:
        self._progress.show(f"starting {size} ranks")
        launcher, config = self._launcher, self._launcher.config
        with _explain_start(size):
            if find_spec("torch") is None:
                raise InterpreterLost("torch is not installed")
            if why := launcher.explain_unpicklable_plugin():
                raise InterpreterLost(why)
            orders = [self._build_order(size, rank) for rank in range(size)]
            timeout = config.stash[SETTINGS].companion_timeout
            return RankGroup(orders, launcher.paths, launcher.environ, timeout, get_basetemp(config))

    def _build_order(self, size: int, rank: int) -> dict[str, Any]:
        order = self._launcher.build_order(f"{size} ranks {rank}")
        order["workerinput"] |= {RANK_KEY: rank, WORLD_SIZE_KEY: size}
        if self._launcher.config.getoption("capture", None) == "no":  # this session prints what ranks print
            order["args"].append("--capture=sys")
        return {**order, "serve": "pytest_repro.plugin.remote.rank_session"}


def _await_collection(group: RankGroup) -> None:
    with _explain_start(len(group.ranks)):
        group.collect_answers("while the tests were collected", lambda answer: False)


@contextmanager
def _explain_start(size: int) -> Iterator[None]:
    try:
        yield
    except InterpreterLost as lost:
        raise InterpreterLost(f"{size} ranks could not be started: {lost}") from None


def _parse_result(message: Any) -> RankResult:
    if message[0] != "ran":  # the rank has not collected the test
        raise InterpreterLost(f"a rank {message[1]}")
    return RankResult(*message[1:])


def _has_failed(message: Any) -> bool:
    return message[0] != "ran" or RankResult(*message[1:]).outcome == "failed"


def _join_results(group: RankGroup, results: Mapping[int, RankResult], cell: Cell) -> RankedRun:
    parts = [
        RankRun(rank, *decode_run(result.encoded_run, cell), result.end_time, result.xfail_reason)
        for rank, result in results.items()
    ]
    run, observations = join_runs(parts), {each.key: each for each in join_observations(parts)}
    recording = RemoteRecording(observations, run.skipped_locals)
    return RankedRun(run, recording, partial(_fetch, group), select_worst(parts).xfail_reason, results)


def _fetch(group: RankGroup, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
    rank, own_key = split_rank(key)
    return fetch_value(group.ranks[rank], own_key, logits)
