"""Compares runs: every difference is collected, none is raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import VerdictOutcome
from pytest_repro.core.plan.cell import REPEAT
from pytest_repro.core.runs.observation import Key, Observation, format_key
from pytest_repro.core.runs.run import Run

Measure = Callable[[Observation, Observation], Difference | None]
"""Says how far two observations of one kind are apart; None where the values are not kept."""


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """A run together with what it observed, by key, in the order of recording."""

    run: Run
    observations: Mapping[Key, Observation]


def count_steps(keys: Iterable[Key]) -> dict[str, int]:
    """Number of steps by recorded name: more than one makes a series."""
    counts: Counter[str] = Counter()
    for name, step, _ in keys:
        counts[name] = max(counts[name], step + 1)
    return dict(counts)


def find_mismatches(
    reference: ObservedRun, other: ObservedRun, measure: Measure, mixed_dtypes: bool = False
) -> Iterator[Mismatch]:
    """Every observation that differs between two runs, in the order of recording.

    Args:
        reference: The run that the other is compared with.
        other: Another run of the same test.
        measure: Says how far two observations are apart, once they are known to differ; a
            difference with nothing ``outside`` the tolerance is none.
        mixed_dtypes: Whether numbers of two dtypes are compared instead of told apart.
    """
    left, right = reference.observations, other.observations
    both = {**left, **right}
    lengths = count_steps(both)
    for key in both:
        name = format_key(key, lengths[key[0]] > 1)
        found = _find_mismatch(name, key, left.get(key), right.get(key), other.run, measure, mixed_dtypes)
        if found is not None:
            yield found


def _find_mismatch(
    name: str,
    key: Key,
    a: Observation | None,
    b: Observation | None,
    run: Run,
    measure: Measure,
    mixed_dtypes: bool,
) -> Mismatch | None:
    where = (name, *key, run.axis, run.value)
    if a is None or b is None:
        there = a or b
        assert there is not None
        detail = "recorded in the other run only" if a is None else "not recorded in the other run"
        return Mismatch(
            *where, "missing", there.kind, b.kind if b else "", detail=detail, repeat_of=run.repeat_of
        )
    if a.kind != b.kind and not (mixed_dtypes and can_compare(a, b)):
        return Mismatch(*where, "kind", a.kind, b.kind, repeat_of=run.repeat_of)
    if a.kind == b.kind and a.content == b.content:
        return None
    difference = measure(a, b)
    if difference is not None and not difference.outside_tolerance:
        return None
    detail = "" if difference is not None else "the values were not kept: only the digests are known"
    return Mismatch(*where, "values", a.kind, b.kind, difference, detail, run.repeat_of)


def can_compare(a: Observation, b: Observation) -> bool:
    """Whether two values of unlike dtypes are numbers in arrays of one shape."""
    text = "" in (a.dtype, b.dtype) or a.dtype.startswith("raw") or b.dtype.startswith("raw")
    return a.shape == b.shape and not text


def find_outcome_mismatches(runs: Sequence[Run]) -> Iterator[Mismatch]:
    """A mismatch for each run that did something else than the first."""
    first = runs[0]
    for run in runs[1:]:
        if run.state == "ran" and (run.outcome, run.error_type) != (first.outcome, first.error_type):
            detail = f"{describe_outcome(first)}, then {describe_outcome(run)}"
            yield Mismatch(
                "outcome",
                "outcome",
                0,
                "",
                run.axis,
                run.value,
                "outcome",
                detail=detail,
                repeat_of=run.repeat_of,
            )


def describe_outcome(run: Run) -> str:
    """A run's outcome in words: ``passed``, ``failed (ValueError: boom)``."""
    return f"{run.outcome} ({run.error})" if run.error else run.outcome


def judge_runs(runs: Sequence[Run], mismatches: Sequence[Mismatch]) -> VerdictOutcome | None:
    """The verdict word of *runs*, between which *mismatches* differs.

    A run that differs in outcome makes the test ``diverged`` whatever it recorded. Where each
    run failed or was skipped alike, the values recorded before that say nothing more; but of a run
    in ranks one that was skipped hides none that went on. A run that gave no answer is no silent
    pass; and where no value of any axis was to be had but the reference's, the test is
    ``skipped``: what it asks was not looked at.
    """
    ran = [run for run in runs if run.state == "ran"]
    if any(m.problem == "outcome" for m in mismatches):
        return "diverged"
    if ran[0].outcome == "failed":
        return "failed"
    if ran[0].outcome == "skipped" and not (mismatches and ran[0].partly_skipped):
        return "skipped"
    if mismatches:
        return "diverged"
    if any(run.state == "lost" for run in runs):
        return "failed"
    if len(ran) < 2:
        return None
    if not any(run.observation_count for run in ran):
        return "unobserved"
    return "skipped" if has_only_reference(runs) else "reproduced"


def has_only_reference(runs: Sequence[Run]) -> bool:
    """Whether values were asked and none was to be had: all that ran was the reference's."""
    elsewhere = any(run.state == "ran" and run.axis != REPEAT for run in runs)
    return not elsewhere and any(run.state == "absent" for run in runs)
