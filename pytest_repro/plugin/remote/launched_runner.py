"""Runs an item in this rank and, in lockstep, in all others that a launcher has started."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.remote_run import RemoteRecording
from pytest_repro.plugin.exceptions import NotReproducibleFailure, RankFailed
from pytest_repro.plugin.remote.launched import Joined, LaunchedTracer, LaunchedTrial, Lockstep
from pytest_repro.plugin.remote.ranks import RankLost
from pytest_repro.plugin.replay_line import format_nodeid
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.outcome import apply_phase_outcome, find_xfail_reason
from pytest_repro.reports.failure.text import format_headline


class _Decision(NamedTuple):
    """What rank 0 decides on the last run: ``passed``, ``failed``, ``diverged`` or ``skipped``."""

    word: str
    reason: str = ""
    xfail_reason: str | None = None


class LaunchedItemRunner(ItemRunner):
    """Runs an item in this rank; what rank 0 decides holds for all."""

    trial: LaunchedTrial

    def __init__(self, item: pytest.Item, trial: LaunchedTrial, *args: Any) -> None:
        super().__init__(item, trial, *args)
        self.tracer = LaunchedTracer(item, trial)
        self._ranks, self._lockstep = trial.ranks, Lockstep(trial.ranks, item.nodeid)

    @property
    def is_abandoned(self) -> bool:
        return bool(self._ranks.loss)

    @property
    def is_settled(self) -> bool:
        """Whether the attempt that ended counts in all ranks: all repeat it, or none."""
        if self.is_abandoned:
            return True
        try:
            self._agree_to_start(False)
            return self._lockstep.agree("settled", super().is_settled, self.current.finished)
        except InterpreterLost as lost:
            self._abandon(str(lost))
            return True

    def begin(self, *args: Any, **kwargs: Any) -> None:
        super().begin(*args, **kwargs)
        self._ranks.begin_run()
        self._can_start: bool | None = None
        self._is_held_back, self._end_time = False, 0.0
        self._lockstep.spec = self.current.spec

    def _agree_to_start(self, is_ready: bool) -> bool:
        """Whether all ranks have reached the body; asked once for each attempt."""
        if self._can_start is None:
            self._can_start = self._lockstep.agree("start", is_ready)
        return self._can_start

    def setup(self) -> None:
        __tracebackhide__ = True
        if self.is_abandoned:  # its fixtures may wait for the others
            self._start_setup()
        else:
            super().setup()

    def runtest(self) -> None:
        __tracebackhide__ = True
        if self._failure is not None and not self.is_abandoned:  # a rerun must not retry a mismatch away
            return super().runtest()
        try:
            can_start = not self.is_abandoned and self._agree_to_start(True)
        except InterpreterLost as lost:
            self._abandon(str(lost))
        if self.is_abandoned:
            raise self._make_loss()
        if can_start:
            return super().runtest()
        self.current.body_started = self._is_held_back = True
        run = replace(self._make_run("skipped"), error="another rank did not reach the test")
        self.current.finished = run
        if self.current.spec.reported:
            self._raise_failure(run, None)
        raise RankFailed(run.error, None)

    def _finish_body(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        self._end_time = time.time()
        super()._finish_body(error)

    def _exchange(self, run: Run, xfail_reason: str | None = None) -> Joined | None:
        return self._lockstep.exchange(
            self.trial, run, self.current.recording, counts=not self._is_held_back,
            end_time=self._end_time or time.time(), xfail_reason=xfail_reason,
        )  # fmt: skip

    def finish_rehearsal(self, reports: Sequence[pytest.TestReport]) -> None:
        """Adds the run of all ranks to the trial of rank 0."""
        if self.is_abandoned:
            return
        run = self.finish_run(reports)
        if run.outcome == "passed":  # nobody sees the report of a tear-down that failed
            run = apply_phase_outcome(run, [each for each in reports if each.when == "teardown"])
        try:
            joined = self._exchange(run, find_xfail_reason(reports))
            if joined is None:
                self.trial.add(run, RemoteRecording({}))  # the number of the next run follows from it
                left = self._lockstep.receive_decision(self.tracer)
            else:
                self.trial.add(*joined.result)
                left = _describe_left(joined)
                self._ranks.broadcast(("decision", left))
        except InterpreterLost as lost:
            self._abandon(str(lost))
            return
        if left:
            self._ranks.end(left)
            self.item.session.shouldstop = _STOP

    def _raise_failure(self, run: Run, error: BaseException | None) -> None:
        """Judges the test in rank 0; raises in every rank if that fails or skips it."""
        __tracebackhide__ = True
        try:
            joined = self._exchange(run)
            if joined is None:
                decision, left = self._lockstep.receive_decision(self.tracer)
                failure = _make_failure(_Decision(*decision), error)
            else:
                left = _describe_left(joined)
                failure = self._judge_joined(joined, run, left)
        except InterpreterLost as lost:
            self._abandon(str(lost))
            raise self._make_loss() from None
        if left:
            self._ranks.end(left)
            self.item.session.shouldstop = _STOP
        if failure is not None:
            raise failure.with_traceback(error.__traceback__ if error is not None else None) from None

    def _judge_joined(self, joined: Joined, own: Run, left: str) -> BaseException | None:
        """The failure of the test in rank 0, which has told the others."""
        decision = _Decision("failed", "rank 0 could not judge the test")
        try:
            failure = self._find_joined_failure(*joined.result, own)
            decision = _describe(failure, joined.result.run)
            return failure
        finally:
            self._ranks.broadcast(("decision", [tuple(decision), left]))

    def _find_joined_failure(self, run: Run, recording: RecordingBase, own: Run) -> BaseException | None:
        self.current.finished, self.current.final_recording = run, recording
        try:
            self.verdict = self._judge.compute_verdict(self, run)
            self._failure = self._judge.find_failure(self, run, self.verdict)
        except (pytest.skip.Exception, pytest.fail.Exception) as outcome:
            return outcome
        if self._failure is not None or (own.outcome == run.outcome and run.error.endswith(own.error)):
            return self._failure  # if it is None, the error of this rank goes on
        if run.outcome == "skipped":
            return pytest.skip.Exception(run.error, _use_item_location=True)
        return RankFailed(f"{run.error}\n\n{run.traceback}", None) if run.outcome == "failed" else None

    def judge_without_body(self, report: pytest.TestReport) -> None:
        """Judges a test whose last run did not reach its body in this rank."""
        try:
            self._agree_to_start(False)
            joined = self._exchange(self.finish_run([report]))
            if joined is None:
                self._lockstep.receive_decision(self.tracer)
                return
        except InterpreterLost as lost:
            self._abandon(str(lost))
            self._make_loss()
            return
        run = joined.result.run
        decision = _describe(None, run)
        try:
            self.verdict = self.trial.compute_verdict(joined.result)
        finally:
            self._ranks.broadcast(("decision", [tuple(decision), ""]))

    def _abandon(self, reason: str) -> None:
        """Ends the runs in lockstep: this rank no longer knows where the others are."""
        self._ranks.give_up(reason)
        self.item.session.shouldstop = _STOP

    def _make_loss(self) -> RankLost:
        self.current.body_started = True
        if self.current.spec.reported and self._ranks.rank == 0:
            if all(run.outcome != "failed" for run in self.trial.runs):
                self.trial.add_lost(self.current.spec.cell, self._ranks.loss)
            self.verdict = self.trial.compute_verdict()
        return RankLost(f"{format_nodeid(self.item)}: {self._ranks.loss}", pytrace=False)


_STOP = "the ranks can no longer run tests together"


def _describe_left(joined: Joined) -> str:
    """How the run of *joined* failed, if ranks have left the process group; else ``""``."""
    if not joined.left:
        return ""
    run, ranks = joined.result.run, " and ".join(f"rank {each}" for each in joined.left)
    end = f"{ranks} then left the process group, so that no other rank waits for it: the session ends"
    return "\n\n".join(part for part in (run.error, run.traceback, end) if part)


def _describe(failure: BaseException | None, run: Run) -> _Decision:
    """What rank 0 tells the others."""
    if isinstance(failure, NotReproducibleFailure):
        names = ", ".join(dict.fromkeys(each.name for each in failure.verdict.mismatches[:3]))
        return _Decision("diverged", f"not reproducible: {names or format_headline(failure.verdict)}")
    if isinstance(failure, pytest.skip.Exception) or (failure is None and run.outcome == "skipped"):
        return _Decision("skipped", str(failure or run.error))
    if failure is None and run.outcome != "failed":
        return _Decision("passed")
    text = run.error if run.outcome == "failed" else str(failure).partition("\n")[0]
    return _Decision("failed", text, getattr(failure, "xfail_reason", None))


def _make_failure(decision: _Decision, error: BaseException | None) -> BaseException | None:
    """What to raise in a rank other than 0; None if it passes, or goes on with its own *error*."""
    if error is not None or decision.word == "passed":
        return None
    if decision.word == "skipped":
        return pytest.skip.Exception(decision.reason, _use_item_location=True)
    return RankFailed(f"{decision.reason} (rank 0 reports it)", decision.xfail_reason)
