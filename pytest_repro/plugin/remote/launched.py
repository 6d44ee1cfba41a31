"""Runs of tests in ranks that a launcher has started: each of them runs the whole session, in lockstep.

Rank 0 decides what is run next, collects what every rank recorded, judges and reports. What it decides
holds in all ranks: none runs on into a collective operation that another never joins.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.launched_ranks import LaunchedRank, LaunchedRanks
from pytest_repro.companions.serialize_run import decode_run
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Cell, Plan
from pytest_repro.core.runs.join_ranks import RankRun, join_observations, join_runs, split_rank
from pytest_repro.core.runs.observation import Key
from pytest_repro.core.runs.run import Run, RunSpec
from pytest_repro.core.trace.rank_divergence import RankComparison, encode_comparison
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.remote_run import RemoteRecording, RemoteValues, encode_cell, fetch_value
from pytest_repro.engine.runs.trial import RunResult, Trial
from pytest_repro.plugin.judge.judge import make_paths_relative
from pytest_repro.plugin.judge.rank_divergence import RankTracer
from pytest_repro.plugin.run.tracing import CellKey, Tracer
from pytest_repro.plugin.stash import SETTINGS

_GRACE = 10.0  # seconds for the others to end their run once one has failed
_UNTRACED = "under torchrun, --repro-trace finds the rank, op and line that differ first"
_NO_INTERPRETER = "needs another interpreter, which is not started under torchrun"


class LaunchedTrial(Trial):
    """The runs of one test in all ranks: rank 0 has them, and tells the others what comes next."""

    def __init__(self, ranks: LaunchedRanks, plan: Plan, keep_mb: int, with_plots: bool) -> None:
        super().__init__(plan, keep_mb, with_plots)
        self.ranks, self._keep_mb, self.own = ranks, keep_mb, Trial(plan, keep_mb)

    def new_recording(self, cell: Cell) -> Recording:
        """What this rank records into: all values are kept until rank 0 has compared them."""
        self.own = Trial(self.plan, self._keep_mb)
        return self.own.new_recording(cell)

    def iter_rehearsals(self) -> Iterator[Cell]:
        if self.ranks.rank == 0:
            for cell in super().iter_rehearsals():
                self.ranks.broadcast(("run", *encode_cell(cell)))
                yield cell
            self.ranks.broadcast(("last",))
            return
        with suppress(InterpreterLost):  # noticed again once the run starts
            while (message := self.ranks.receive(0, "before the next run"))[0] == "run":
                yield Cell(*message[1:])

    def remote_cells(self) -> Iterator[Cell]:
        for cell in super().remote_cells():
            self.add_unavailable(cell, _NO_INTERPRETER)
        yield from ()


class Result(NamedTuple):
    """What a rank sends of its run.

    Attributes:
        counts: Whether it counts: the body of this rank may be held back, since another did not reach it.
        encoded_run: The run with its observations, from :func:`.encode_run`.
        end_time: In seconds since the epoch.
        xfail_reason: Why its failure was expected; None if it was not.
    """

    counts: bool
    encoded_run: str
    end_time: float
    xfail_reason: str | None


class Joined(NamedTuple):
    """A run of all ranks; *left* are those that have left the process group, so that others go on."""

    result: RunResult
    left: Sequence[int]


class Lockstep:
    """The steps of a run that this rank takes together with the others.

    Args:
        ranks: All of them.
        nodeid: Of the test.

    Attributes:
        spec: Of the run.
    """

    spec: RunSpec

    def __init__(self, ranks: LaunchedRanks, nodeid: str) -> None:
        self._ranks, self._nodeid, self._has_left = ranks, nodeid, False
        self._loopback = deque[Any]()
        send = self._loopback.append if ranks.rank == 0 else partial(ranks.send, 0)
        self.values = RemoteValues(SimpleNamespace(send=send))

    def agree(self, step: str, own: bool, run: Run | None = None) -> bool:
        """Whether every rank says yes at *step*; *run* has just ended in this rank.

        Raises:
            InterpreterLost: A rank is gone, or at another step.
        """
        if self._ranks.loss:
            raise InterpreterLost(self._ranks.loss)
        ranks, message, waiting = self._ranks, (step, self._nodeid, own), self._plan_wait(run)
        activity = f"before all ranks were at {self._nodeid}" if run is None else f"in {self._nodeid}"
        if ranks.rank:
            ranks.send(0, message)
            return bool(ranks.receive(0, activity, **waiting)[1])
        messages = ranks.collect(message, activity, **waiting)
        for rank, other in messages.items():
            if other[:2] != message[:2]:
                where = f"{other[1] if len(other) > 1 else 'another step'} ({other[0]})"
                raise InterpreterLost(f"{ranks.name(rank)} is at {where}, rank 0 at {self._nodeid} ({step})")
        decision = all(each[2] for each in messages.values())
        ranks.broadcast((step, decision))
        return decision

    def exchange(self, trial: LaunchedTrial, run: Run, recording: Any, **more: Any) -> Joined | None:
        """Sends *run* to rank 0; there, returns the joined run of every rank, which is measured.

        The others then wait for what rank 0 decides: :meth:`receive_decision`.
        """
        encoded = self.values.keep_and_encode(trial.own, run, recording)[1]
        own, ranks = tuple(Result(encoded_run=encoded, **more)), self._ranks
        waiting = self._plan_wait(run)
        if ranks.rank:
            ranks.send(0, ("result", *own))
            ranks.receive(0, f"in {self._nodeid}", **waiting)
            ranks.send(0, ("left", self._has_left))
            return None
        messages = ranks.collect(("result", *own), f"in {self._nodeid}", **waiting)
        ranks.broadcast(("collected",))
        lefts = ranks.collect(("left", self._has_left), f"after {self._nodeid}")
        results = {rank: Result(*message[1:]) for rank, message in sorted(messages.items())}
        return Joined(self._join(trial, results), [rank for rank, left in lefts.items() if left[1]])

    def _join(self, trial: LaunchedTrial, results: Mapping[int, Result]) -> RunResult:
        cell = self.spec.cell
        parts = [
            RankRun(rank, *decode_run(result.encoded_run, cell), result.end_time, result.xfail_reason)
            for rank, result in results.items()
            if result.counts
        ]
        run, observations = join_runs(parts), {each.key: each for each in join_observations(parts)}
        recording = RemoteRecording(observations, run.not_compared, trial.with_plots)
        trial.measure_remote(cell, run, recording, self._fetch)
        return RunResult(run, recording)

    def _fetch(self, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
        rank, own_key = split_rank(key)
        return fetch_value(LaunchedRank(self._ranks, rank) if rank else self, own_key, logits)

    def send(self, word: str, logits: bool, *key: Any) -> None:
        """Requests a value of this rank, for :func:`.fetch_value`."""
        self.values.send_value(logits, *key)

    def receive(self, activity: str) -> Any:
        """The next piece of it."""
        return self._loopback.popleft()

    def receive_decision(self, tracer: Tracer) -> Any:
        """What rank 0 decides on the run; meanwhile this rank sends values and traces that it requests."""
        while (message := self._ranks.receive(0, f"after {self._nodeid}"))[0] != "decision":
            if message[0] == "fetch":
                self.values.send_value(*message[1:])
            else:
                self._ranks.send(0, ("compared", encode_comparison(tracer.compare(*message[1:]))))
        return message[1]

    def _plan_wait(self, run: Run | None) -> Any:
        """How long to wait for others before this rank, whose *run* has ended, leaves the process group."""
        if run is None:
            return {}
        grace = _GRACE if run.outcome == "failed" else self._ranks.timeout
        return {"grace": grace, "on_grace": self._leave_process_group}

    def _leave_process_group(self) -> None:
        """Frees ranks that wait for this one in a collective operation: their connections to it break."""
        dist = sys.modules.get("torch.distributed")
        if dist is not None and dist.is_available() and dist.is_initialized():
            # A fixture of the session would have made it in an earlier run.
            is_of_this_run = self.spec.reported and self.spec.number > 0 and self._ranks.has_new_group
            self._has_left = not is_of_this_run
            with suppress(Exception):
                dist.destroy_process_group()


class LaunchedTracer(RankTracer):
    """With ``--repro-trace`` traces this rank; in rank 0, finds the op that differs first over all ranks."""

    def __init__(self, item: pytest.Item, trial: LaunchedTrial) -> None:
        super().__init__(item, trial, None)
        self._launched = trial.ranks

    def trace_run(self, spec: RunSpec) -> AbstractContextManager[None]:
        return Tracer.trace_run(self, spec)

    def compare(self, *keys: CellKey) -> RankComparison:
        """As that of the base class; lines are relative to the root folder of this machine."""
        return make_paths_relative(super().compare(*keys), self._item.config.rootpath)

    def add_divergence(self, verdict: Verdict) -> Verdict:
        if self._item.config.stash[SETTINGS].trace:
            return super().add_divergence(verdict)
        return replace(verdict, undiagnosed=_UNTRACED)

    def _collect(self, size: int, *keys: CellKey) -> Mapping[int, str]:
        """Collects from the other ranks, which wait in :meth:`Lockstep.receive_decision`."""
        self._launched.broadcast(("compare", *keys))
        own = "compared", encode_comparison(self.compare(*keys))
        answers = self._launched.collect(own, "while it compared traces")
        return {rank: text for rank, (_, text) in answers.items()}
