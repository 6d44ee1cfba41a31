"""Finds the cause of a mismatch."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import REPEAT
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose.axis_difference import diagnose_axis
from pytest_repro.engine.diagnose.budgeted_experiments import (
    ExperimentBudget,
    ExperimentTarget,
    ProgressCallback,
)
from pytest_repro.engine.diagnose.repeat_difference import diagnose_repeat
from pytest_repro.engine.diagnose.suspects import build_unknown_finding


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of :func:`diagnose_verdict`."""

    divergence: Divergence | None
    cause: Finding


def diagnose_verdict(
    target: ExperimentTarget, verdict: Verdict, seconds: float, show_progress: ProgressCallback
) -> Diagnosis:
    """The first op that diverged, and the cause, for a verdict that is ``diverged``.

    Args:
        target: What the verdict is about.
        verdict: The verdict.
        seconds: Time limit.
        show_progress: Shows the user what is being done.
    """
    try:
        return _diagnose(target, verdict, seconds, show_progress)
    except Exception as error:  # a bug here must not hide the result of the test
        reason = f"the diagnosis itself failed: {type(error).__name__}: {error}"
        return Diagnosis(None, build_unknown_finding(reason))


def _diagnose(
    target: ExperimentTarget, verdict: Verdict, seconds: float, show_progress: ProgressCallback
) -> Diagnosis:
    budget = ExperimentBudget(target, seconds, max(run.seconds for run in verdict.runs), show_progress)
    mismatch = _pick_mismatch(verdict)
    if mismatch.axis != REPEAT:
        return Diagnosis(*diagnose_axis(budget, mismatch.axis, mismatch.value, verdict.runs[0].setting))
    key = (mismatch.axis, mismatch.value, mismatch.repeat_of)
    setting = next(run.setting for run in verdict.runs if (run.axis, run.value, run.repeat_of) == key)
    return Diagnosis(*diagnose_repeat(budget, setting))


def _pick_mismatch(verdict: Verdict) -> Mismatch:
    """The mismatch to explain: one between equal runs, else one between values of an axis."""
    mismatches = verdict.mismatches
    return next((mismatch for mismatch in mismatches if mismatch.axis == REPEAT), mismatches[0])
