"""What becomes of a test whose last run has ended: its verdict, and whether that fails it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_repro.core.compare.verdict import UNKNOWN, Verdict
from pytest_repro.core.runs.run import SUBTEST, Run
from pytest_repro.plugin.exceptions import diverged, not_compared, untold
from pytest_repro.plugin.extra_runs.seed_check import note_of

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import Act


def judged(act: Act, run: Run, passed_over: tuple[str, ...]) -> BaseException | None:
    """Puts the verdict into *act*; gives what is to be raised where it fails the test.

    Args:
        act: All its runs are done.
        run: The last one.
        passed_over: Local variables that could not be observed in it.
    """
    __tracebackhide__ = True
    act.verdict = verdict = _verdict(act, run, passed_over)
    if verdict.word == "diverged" and verdict.baseline is None:  # else the runs agree
        act.verdict = verdict = act.explained(act.tracer.told(verdict))
    word, item = verdict.word, act.item
    # Nothing observed is no failure that an xfail was waiting for: it would hide an XPASS.
    lenient = act.plan.audit or item.get_closest_marker("xfail") is not None
    if word in ("diverged", *UNKNOWN) or (word == "unobserved" and not lenient):
        return diverged(item, verdict)
    if run.outcome == "passed":
        not_compared(item, verdict)
    if act.control is not None:
        act.control_note = note_of(item, act.control, verdict)
    if act.beside.noise:
        from pytest_repro.plugin.extra_runs.noise import warn_of_constant

        warn_of_constant(act)
    if act.beside.broken and run.outcome == "passed":
        return untold(item, act.beside.broken)
    if act.beside.swept is None or not (run.outcome == "passed" or run.error_type == SUBTEST):
        return None
    from pytest_repro.plugin.judge.sweep_failure import scattered

    return scattered(act, act.beside.swept)


def _verdict(act: Act, run: Run, passed_over: tuple[str, ...]) -> Verdict:
    verdict = act.trial.verdict((run, act.recorded))
    verdict = replace(verdict, passed_over=passed_over or verdict.passed_over)
    if act.plan.baseline:
        from pytest_repro.plugin.judge import baseline

        return baseline.judged(act.item, verdict, act.trial, act.recorded)
    return verdict
