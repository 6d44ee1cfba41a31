"""The verdict on the runs of a test: compared at a level, and which level they reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pytest_repro.core.compare.mismatch import (
    Mismatch,
    ObservedRun,
    count_steps,
    find_mismatches,
    find_outcome_mismatches,
)
from pytest_repro.core.compare.verdict import Verdict, VerdictOutcome, judge_runs
from pytest_repro.core.plan.plan import LEVELS, Level, Plan, default_tolerance
from pytest_repro.core.runs.observation import (
    Agreeing,
    LevelResult,
    explain_exclusion,
    is_number,
    is_recorded_directly,
    select_at_level,
)
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.tables.cells import describe_tables
from pytest_repro.values.spill_store import SpillStore

FinishedRun = tuple[Run, RecordingBase]
FindBase = Callable[[Run], FinishedRun | None]


def compute_verdict(
    plan: Plan, runs: tuple[Run, ...], finished_runs: Sequence[FinishedRun], find_base: FindBase
) -> Verdict:
    """The verdict, without what is shown of mismatches.

    Args:
        plan: The plan.
        runs: All runs, those included that were not made.
        finished_runs: Those that were made, the reference run first.
        find_base: Returns the run that another is compared with.
    """
    level = plan.level or "bitwise"
    values = _find_mismatches_at_level(plan, finished_runs, find_base, level)
    found = (*find_outcome_mismatches(runs), *values)
    word = _decide_outcome(plan, runs, finished_runs, found)
    reached = _compute_level_result(plan, finished_runs, find_base, found)
    found = () if word == "skipped" else found  # what was recorded before a skip says nothing
    over = _list_uncounted(finished_runs[0][1]) if level != "bitwise" else ()
    compared = () if word in (None, "skipped", "failed") else runs
    missed = {name: why for run in compared for name, why in run.not_compared.items()}
    return Verdict(word, plan, runs, found, uncounted=over, level=reached, not_compared=missed)


def describe_mismatches(
    verdict: Verdict,
    finished_runs: Sequence[FinishedRun],
    find_base: FindBase,
    store: SpillStore,
    plots: bool,
) -> Verdict:
    """*verdict* with what is shown of its mismatches.

    Args:
        verdict: The verdict.
        finished_runs: The runs, the reference run first.
        find_base: Returns the run that another is compared with.
        store: Where values of the reference run are.
        plots: Whether plots are shown.
    """
    plan, found = verdict.plan, verdict.mismatches
    verdict = replace(
        verdict,
        steps=count_steps(finished_runs[0][1].observations()),
        agreeing=_find_agreeing(plan, finished_runs, found),
        tables=describe_tables(found, finished_runs, store),
    )
    if not plots:
        return verdict
    from pytest_repro.engine.runs.plots import build_plots

    pairs = ((run, (find_base(run) or finished_runs[0])[1], other) for run, other in finished_runs[1:])
    return replace(verdict, plots=tuple(build_plots(found, pairs, plan.mixes_dtypes)))


def _find_mismatches_at_level(
    plan: Plan, finished_runs: Sequence[FinishedRun], find_base: FindBase, level: Level
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
        ours, theirs = recording.observations(), reference.observations()
        there = select_at_level(level, theirs)
        yield from find_mismatches(
            ObservedRun(first, there),
            ObservedRun(run, select_at_level(level, ours, there)),
            recording.measure,
            plan.mixes_dtypes(run.axis),
        )


def _decide_outcome(
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


def _list_uncounted(recording: RecordingBase) -> tuple[str, ...]:
    """Recorded values that count only at level ``bitwise``: each name once, with the reason."""
    seen = recording.observations()
    counts = select_at_level("process", seen)
    return tuple(dict.fromkeys(explain_exclusion(each) for key, each in seen.items() if key not in counts))


def _find_agreeing(
    plan: Plan, finished_runs: Sequence[FinishedRun], found_mismatches: Sequence[Mismatch]
) -> Agreeing:
    """What agrees within a tolerance between values of an axis, if parts of modules and objects do not."""
    inside, others = list[Mismatch](), list[Mismatch]()
    for each in found_mismatches:
        is_direct = is_recorded_directly((each.series, each.step, each.path))
        (others if is_direct else inside).append(each)
    if plan.level is not None or not inside:
        return ""
    is_on_axis = all(
        m.problem == "values" and m.repeat_of is None and not plan.tolerance_for(m.axis)("float32").exact
        for m in found_mismatches
    )
    if not is_on_axis or not all(map(_is_close_number, others)):
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


def _compute_level_result(
    plan: Plan,
    finished_runs: Sequence[FinishedRun],
    find_base: FindBase,
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
        each for each in counting if not any(_find_mismatches_at_level(plan, finished_runs, find_base, each))
    )
    return LevelResult(plan.level, next(reached, "none"))
