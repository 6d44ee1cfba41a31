"""The verdict of a test whose last run has ended, and whether it fails the test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from time import monotonic
from typing import Any, TypeVar

import pytest

from pytest_repro.core.compare.verdict import WITHOUT_BASELINE, Verdict
from pytest_repro.core.diagnose import Experiment, ExperimentResult
from pytest_repro.core.runs.run import Run
from pytest_repro.plugin.exceptions import make_extra_runs_failure, make_failure, raise_if_not_compared
from pytest_repro.plugin.extra_runs import list_extra_runs
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.stash import SETTINGS

RunFunction = Callable[[pytest.Item, Experiment], ExperimentResult]
DiagnoseFunction = Callable[[pytest.Item, Verdict, RunFunction | None], Verdict]
T = TypeVar("T")

_LONG_RUN = 10.0
"""Seconds of a run above which ``--repro-diagnose=auto`` looks for no cause."""

_SESSION_FACTOR = 5.0
"""Time that ``auto`` spends on the causes of a session, as a multiple of the limit of one, or as long as all
else takes: 91 tests that differ need not take ten minutes."""


class Judge:
    """Judges tests whose last run has ended.

    Args:
        diagnose: Adds the cause to a verdict that is ``diverged``; its last argument runs an experiment in
            this process, if that is possible.
        prepare_late_diagnosis: Called when :meth:`diagnose_late` is to be called for a test.
    """

    def __init__(self, diagnose: DiagnoseFunction, prepare_late_diagnosis: Callable[[], None]) -> None:
        self._diagnose, self._prepare_late_diagnosis = diagnose, prepare_late_diagnosis
        self._start, self._diagnosis_seconds = monotonic(), 0.0
        self._undiagnosed: tuple[ItemRunner, Verdict] | None = None

    def compute_verdict(self, runner: ItemRunner, run: Run) -> Verdict:
        """The verdict of a test with its cause.

        Args:
            runner: Of the test.
            run: The last run.
        """
        verdict = _compute_verdict(runner, run)
        if verdict.outcome != "diverged" or verdict.baseline is not None:  # then the runs agree
            return verdict
        if verdict.mismatches:
            verdict = runner.tracer.add_divergence(verdict)
            if not verdict.plan.ranks and should_look_for_cause(runner.item, verdict):
                verdict = replace(verdict, undiagnosed=self._explain_limit(runner))
                if verdict.undiagnosed:
                    pass
                elif _can_run_again(runner):
                    self._undiagnosed = runner, verdict
                    self._prepare_late_diagnosis()
                else:
                    verdict = self._find_cause(runner, verdict, None)
        return self._complete(runner, verdict)

    def diagnose_late(self, runner: ItemRunner, run_experiment: RunFunction) -> None:
        """Adds the cause to the verdict of *runner*, whose item can run again by *run_experiment*."""
        assert self._undiagnosed is not None
        (_, verdict), self._undiagnosed = self._undiagnosed, None
        verdict = self._complete(runner, self._find_cause(runner, verdict, run_experiment))
        runner.replace_verdict(verdict)

    def _find_cause(self, runner: ItemRunner, verdict: Verdict, run_here: RunFunction | None) -> Verdict:
        verdict = self._diagnose(runner.item, verdict, run_here)
        self._diagnosis_seconds += verdict.diagnosis_seconds
        return verdict

    def _explain_limit(self, runner: ItemRunner) -> str:
        """Why no cause is looked for any more in this session; ``""`` if there is time."""
        settings, spent = runner.item.config.stash[SETTINGS], self._diagnosis_seconds
        others = monotonic() - self._start - spent
        if settings.diagnose == "always" or spent <= max(_SESSION_FACTOR * settings.diagnose_seconds, others):
            return ""
        return f"the causes of other tests took {spent:.0f} s: --repro-diagnose=always looks for all"

    def is_undiagnosed(self, runner: ItemRunner) -> bool:
        """Whether the cause is looked for once the call of *runner* is reported."""
        return self._undiagnosed is not None and self._undiagnosed[0] is runner

    def _complete(self, runner: ItemRunner, verdict: Verdict) -> Verdict:
        if (asserted := runner.current.failed_assertion) is not None and not verdict.causes:
            verdict = replace(verdict, divergence=asserted.divergence, causes=asserted.causes)
        root = runner.item.config.rootpath
        divergence = make_paths_relative(verdict.divergence, root)
        causes = tuple(make_paths_relative(cause, root) for cause in verdict.causes)
        return replace(verdict, divergence=divergence, causes=causes)

    def find_failure(self, runner: ItemRunner, run: Run, verdict: Verdict) -> BaseException | None:
        """What to raise if *verdict*, or an extra run, fails the test.

        Raises:
            pytest.skip.Exception: Nothing was compared.
            pytest.fail.Exception: Another interpreter gave no answer, or a warning is an error.
        """
        __tracebackhide__ = True
        item, outcome = runner.item, verdict.outcome
        # An xfail does not wait for a test that observes nothing: a failure would hide an XPASS.
        is_audit = verdict.plan.audit and not verdict.is_partial
        is_lenient = is_audit or item.get_closest_marker("xfail") is not None
        if run.outcome == "failed" and not verdict.mismatches:
            return _judge_extra_runs(runner, run)  # pytest shows why it failed
        if outcome in ("diverged", *WITHOUT_BASELINE) or (outcome == "unobserved" and not is_lenient):
            return make_failure(item, verdict)
        if run.outcome == "passed":
            raise_if_not_compared(item, verdict)
        return _judge_extra_runs(runner, run)


def _judge_extra_runs(runner: ItemRunner, run: Run) -> BaseException | None:
    results = runner.extra_results
    if not (results.by_kind or results.error):
        return None
    failures = [
        kind.judge(runner, run, results.by_kind[kind.name])
        for kind in list_extra_runs()
        if kind.name in results.by_kind
    ]
    if results.error and run.outcome == "passed":
        return make_extra_runs_failure(runner.item, results.error)
    return next((failure for failure in failures if failure is not None), None)


def _compute_verdict(runner: ItemRunner, run: Run) -> Verdict:
    recording = runner.current.final_recording
    verdict = runner.trial.compute_verdict((run, recording))
    if verdict.plan.baseline:
        from pytest_repro.plugin.judge import baseline

        return baseline.judge_baseline(runner.item, verdict, runner.trial, recording, runner.extra_results)
    return verdict


def should_look_for_cause(item: pytest.Item, verdict: Verdict) -> bool:
    """Whether *item* runs again to find out why its runs differ."""
    when = item.config.stash[SETTINGS].diagnose
    if when == "never":
        return False
    # The quickest run counts: the first may have imported what the others found imported.
    return when == "always" or min(run.seconds for run in verdict.runs) <= _LONG_RUN


def _can_run_again(runner: ItemRunner) -> bool:
    """Whether the item can run again in this process before its tear-down is reported.

    Not if its input is replayed, its own ops are traced, it is a doctest, whose names are gone, or a debugger
    may still ask for its fixtures.
    """
    item = runner.item
    is_plain = item.config.stash[SETTINGS].replay is None and not runner.tracer.enabled
    wants_fixtures = (item.config.getoption(name, False) for name in ("usepdb", "trace", "setupshow"))
    return is_plain and not hasattr(item, "dtest") and not any(wants_fixtures)


def make_paths_relative(record: T, root: os.PathLike[str]) -> T:
    """*record*, which may be None, with its paths relative to *root*."""
    found: T = _strip_root(record, f"{os.fspath(root)}{os.sep}")
    return found


def _strip_root(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return value.replace(root, "")
    if is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: _strip_root(getattr(value, field.name), root) for field in fields(value)}
        return replace(value, **changes)
    if not isinstance(value, tuple):
        return value
    parts = [_strip_root(part, root) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
