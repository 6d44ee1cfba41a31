"""Compares the runs of a test at a level, and says which level they reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_repro.core.compare.compare import Observed, judged, mismatches
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Word
from pytest_repro.core.plan.level import LEVELS, Level, Standing, seen_at, uncounted
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.recording import Recorded

Done = tuple[Run, Recorded]


def parted(
    plan: Plan, done: Sequence[Done], base: Callable[[Run], Done | None], level: Level
) -> Iterator[Mismatch]:
    """Every value that differs at *level* from the run that its own is compared with.

    Args:
        plan: What is asked.
        done: The runs, the reference run first.
        base: Gives the run that one is compared with, where it is not the reference.
        level: At which is compared.
    """
    if len({run.outcome for run, _ in done}) > 1:
        return  # a run that broke recorded less: the outcome is the answer, not what is missing
    for run, recording in done[1:]:
        first, reference = base(run) or done[0]
        if recording.same_as(reference):
            continue
        there = seen_at(level, reference.observations())
        yield from mismatches(
            Observed(first, there),
            Observed(run, seen_at(level, recording.observations(), there)),
            recording.measure,
            plan.mixed(run.axis),
        )


def worded(plan: Plan, runs: Sequence[Run], done: Sequence[Done], found: Sequence[Mismatch]) -> Word | None:
    """The verdict word of *runs*; one of which nothing counts at its level has observed nothing."""
    word, level = judged(runs, found), plan.level
    if word != "reproduced" or level is None or any(seen_at(level, each.observations()) for _, each in done):
        return word
    return "unobserved"


def uncounted_in(recording: Recorded) -> tuple[str, ...]:
    """What *recording* holds that counts at no level but ``bitwise``, each name once, and why."""
    seen = recording.observations()
    counts = seen_at("process", seen)
    return tuple(dict.fromkeys(uncounted(each) for key, each in seen.items() if key not in counts))


def standing(
    plan: Plan, done: Sequence[Done], base: Callable[[Run], Done | None], found: Sequence[Mismatch]
) -> Standing | None:
    """Which level the runs reach; None where none was asked, or nothing was compared."""
    if plan.level is None or len(done) < 2 or done[0][0].outcome == "skipped":
        return None
    if any(each.problem == "outcome" for each in found):
        return Standing(plan.level, "none")
    counting = (each for each in LEVELS if any(seen_at(each, seen.observations()) for _, seen in done))
    reached = (each for each in counting if not any(parted(plan, done, base, each)))
    return Standing(plan.level, next(reached, "none"))
