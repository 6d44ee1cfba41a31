"""Compares the runs of a test at a level, and says which level they reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_repro.core.compare.mismatch import Mismatch, ObservedRun, find_mismatches
from pytest_repro.core.compare.verdict import VerdictOutcome, judge_runs
from pytest_repro.core.plan.plan import LEVELS, Level, Plan
from pytest_repro.core.plan.tolerance import default_tolerance
from pytest_repro.core.runs.level import (
    Agreeing,
    LevelResult,
    explain_exclusion,
    is_number,
    is_recorded_directly,
    select_at_level,
)
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.recording import RecordingBase

FinishedRun = tuple[Run, RecordingBase]


def find_mismatches_at_level(
    plan: Plan,
    finished_runs: Sequence[FinishedRun],
    find_base: Callable[[Run], FinishedRun | None],
    level: Level,
) -> Iterator[Mismatch]:
    """The mismatches at *level*.

    Args:
        plan: The plan.
        finished_runs: The runs, the reference run first.
        find_base: Returns the run that another is compared with.
        level: The level of the comparison.
    """
    if len({run.outcome for run, _ in finished_runs}) > 1:
        return  # a run that failed recorded less: its outcome is the mismatch
    for run, recording in finished_runs[1:]:
        first, reference = find_base(run) or finished_runs[0]
        if recording.equals(reference):
            continue
        there = select_at_level(level, reference.observations())
        yield from find_mismatches(
            ObservedRun(first, there),
            ObservedRun(run, select_at_level(level, recording.observations(), there)),
            recording.measure,
            plan.mixes_dtypes(run.axis),
        )


def decide_outcome(
    plan: Plan,
    runs: Sequence[Run],
    finished_runs: Sequence[FinishedRun],
    found_mismatches: Sequence[Mismatch],
) -> VerdictOutcome | None:
    """The outcome of the verdict; ``unobserved`` if nothing, or too little, counts as the plan asks."""
    word, level = judge_runs(runs, found_mismatches), plan.level
    is_compared = word == "reproduced" or (word is None and plan.baseline)
    if is_compared and plan.capture == "strict" and any(run.not_compared for run in runs):
        return "unobserved"
    if (
        word != "reproduced"
        or level is None
        or any(select_at_level(level, each.observations()) for _, each in finished_runs)
    ):
        return word
    return "unobserved"


def list_uncounted(recording: RecordingBase) -> tuple[str, ...]:
    """Recorded values that count only at level ``bitwise``: each name once, with the reason."""
    seen = recording.observations()
    counts = select_at_level("process", seen)
    return tuple(dict.fromkeys(explain_exclusion(each) for key, each in seen.items() if key not in counts))


def find_agreeing(
    plan: Plan, finished_runs: Sequence[FinishedRun], found_mismatches: Sequence[Mismatch]
) -> Agreeing:
    """What agrees within a tolerance between values of an axis, if parts of modules and objects do not."""
    inside, others = list[Mismatch](), list[Mismatch]()
    for each in found_mismatches:
        is_direct = is_recorded_directly((each.series, each.step, each.path))
        (others if is_direct else inside).append(each)
    is_on_axis = all(
        m.problem == "values" and m.repeat_of is None and not plan.tolerance_for(m.axis)("float32").exact
        for m in found_mismatches
    )
    if plan.level is not None or not inside or not is_on_axis or not all(map(_is_close_number, others)):
        return ""
    if others:
        return "close numbers"
    reference = finished_runs[0][1].observations()
    if any(is_number(value) and "float" in value.dtype for value in reference.values()):
        return "numbers"
    return "parts" if len(reference) > 2 * len({m.name for m in inside}) else ""


def _is_close_number(mismatch: Mismatch) -> bool:
    """Whether a ``float``, compared as float64, is as close as float32 is: ``loss.item()``."""
    far = mismatch.difference
    if far is None or far.max_abs is None or far.total != 1 or "float" not in mismatch.kind:
        return False
    rtol, atol = default_tolerance("float32")
    return far.max_abs <= atol or (far.max_rel or 1.0) <= rtol


def compute_level_result(
    plan: Plan,
    finished_runs: Sequence[FinishedRun],
    find_base: Callable[[Run], FinishedRun | None],
    found_mismatches: Sequence[Mismatch],
) -> LevelResult | None:
    """The level that the runs reach; None if no level was requested, or nothing was compared."""
    if plan.level is None or len(finished_runs) < 2 or finished_runs[0][0].outcome == "skipped":
        return None
    if any(each.problem == "outcome" for each in found_mismatches):
        return LevelResult(plan.level, "none")
    counting = (
        each
        for each in LEVELS
        if any(select_at_level(each, seen.observations()) for _, seen in finished_runs)
    )
    reached = (
        each for each in counting if not any(find_mismatches_at_level(plan, finished_runs, find_base, each))
    )
    return LevelResult(plan.level, next(reached, "none"))
