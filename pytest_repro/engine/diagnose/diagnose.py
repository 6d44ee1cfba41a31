"""Finds the cause of a mismatch."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import NamedTuple

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import REPEAT
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose import ExperimentBudget, ExperimentTarget, ProgressCallback
from pytest_repro.engine.diagnose.axis_difference import AxisDiagnosis
from pytest_repro.engine.diagnose.findings import build_unknown_finding
from pytest_repro.engine.diagnose.repeat_difference import RepeatDiagnosis


class Diagnosis(NamedTuple):
    """The result of :func:`diagnose_verdict`, and how long it took."""

    divergence: Divergence | None
    causes: tuple[Finding, ...]  # in the order in which they act, at least one
    seconds: float

    @property
    def cause(self) -> Finding:
        """The first of the causes."""
        return self.causes[0]


def diagnose_verdict(
    target: ExperimentTarget, verdict: Verdict, seconds: float, show_progress: ProgressCallback
) -> Diagnosis:
    """The first op that diverged, and the causes, for a *verdict* on *target* that is ``diverged``.

    Explains the first mismatch between equal runs, else the first between values of an axis, in *seconds*.
    """
    start = perf_counter()
    try:
        runs = verdict.runs[1:] or verdict.runs  # the first may import a library, which takes seconds
        budget = ExperimentBudget(target, seconds, max(run.seconds for run in runs), show_progress)
        diagnosis = _prepare(budget, verdict)
        cause = diagnosis.diagnose()
        return Diagnosis(diagnosis.divergence, (cause, *diagnosis.further), perf_counter() - start)
    except Exception as error:  # a bug here must not hide the result of the test
        reason = f"the diagnosis itself failed: {type(error).__name__}: {error}"
        return Diagnosis(None, (build_unknown_finding(reason),), perf_counter() - start)


def _prepare(budget: ExperimentBudget, verdict: Verdict) -> AxisDiagnosis | RepeatDiagnosis:
    mismatches = verdict.mismatches
    mismatch = next((mismatch for mismatch in mismatches if mismatch.axis == REPEAT), mismatches[0])
    if mismatch.axis != REPEAT:
        run = verdict.runs[0]
        outcome = f"{run.outcome} {run.error_type}".strip()
        return AxisDiagnosis(budget, mismatch.axis, mismatch.value, run.setting, outcome)
    if mismatch.repeat_of is not None and budget.this_process is not None:  # the digests are of others
        budget.this_process = replace(budget.this_process, digests=())
    key = (mismatch.axis, mismatch.value, mismatch.repeat_of)
    setting = next(run.setting for run in verdict.runs if (run.axis, run.value, run.repeat_of) == key)
    return RepeatDiagnosis(budget, setting)
