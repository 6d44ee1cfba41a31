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
"""Measures how far two observations of one kind are apart; None if their values are not stored."""


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """A run with its observations by key, in the order of recording."""

    run: Run
    observations: Mapping[Key, Observation]


def count_steps(keys: Iterable[Key]) -> dict[str, int]:
    """Number of steps by recorded name; more than one make a series."""
    counts: Counter[str] = Counter()
    for name, step, _ in keys:
        counts[name] = max(counts[name], step + 1)
    return dict(counts)


def find_mismatches(
    reference: ObservedRun, other: ObservedRun, measure: Measure, mixed_dtypes: bool = False
) -> Iterator[Mismatch]:
    """Every observation that differs between two runs, in the order of recording.

    Args:
        reference: The run that *other* is compared with.
        other: Another run of the same test.
        measure: Called for observations whose bits differ. They match if no element is outside the tolerance.
        mixed_dtypes: Whether numbers of different dtypes are compared; otherwise the dtype is a mismatch.
    """
    left, right = reference.observations, other.observations
    both = {**left, **right}
    lengths = count_steps(both)
    for key in both:
        name = format_key(key, lengths[key[0]] > 1)
        mismatch = _find_mismatch(name, key, left.get(key), right.get(key), other.run, measure, mixed_dtypes)
        if mismatch is not None:
            yield mismatch


def _find_mismatch(
    name: str,
    key: Key,
    a: Observation | None,
    b: Observation | None,
    run: Run,
    measure: Measure,
    mixed_dtypes: bool,
) -> Mismatch | None:
    start = (name, *key, run.axis, run.value)
    if a is None or b is None:
        present = a or b
        assert present is not None
        detail = "recorded in the other run only" if a is None else "not recorded in the other run"
        return Mismatch(
            *start, "missing", present.kind, b.kind if b else "", detail=detail, repeat_of=run.repeat_of
        )
    if a.kind != b.kind and not (mixed_dtypes and can_compare(a, b)):
        return Mismatch(*start, "kind", a.kind, b.kind, repeat_of=run.repeat_of)
    if a.kind == b.kind and a.content == b.content:
        return None
    difference = measure(a, b)
    if difference is not None and not difference.outside_tolerance:
        return None
    detail = "" if difference is not None else "the values were not kept: only the digests are known"
    return Mismatch(*start, "values", a.kind, b.kind, difference, detail, run.repeat_of)


def can_compare(a: Observation, b: Observation) -> bool:
    """Whether two values of different dtypes are arrays of numbers of one shape."""
    text = "" in (a.dtype, b.dtype) or a.dtype.startswith("raw") or b.dtype.startswith("raw")
    return a.shape == b.shape and not text


def find_outcome_mismatches(runs: Sequence[Run]) -> Iterator[Mismatch]:
    """A mismatch for each run whose outcome differs from that of the first."""
    first = runs[0]
    for run in runs[1:]:
        if run.state == "ran" and (run.outcome, run.error_type) != (first.outcome, first.error_type):
            detail = f"{describe_outcome(first)}, then {describe_outcome(run)}"
            start = ("outcome", "outcome", 0, "", run.axis, run.value)
            yield Mismatch(*start, "outcome", detail=detail, repeat_of=run.repeat_of)


def describe_outcome(run: Run) -> str:
    """A run's outcome in words: ``passed``, ``failed (ValueError: boom)``."""
    return f"{run.outcome} ({run.error})" if run.error else run.outcome


def judge_runs(runs: Sequence[Run], mismatches: Sequence[Mismatch]) -> VerdictOutcome | None:
    """The verdict of *runs* with *mismatches* between them; None after a single run.

    A run with another outcome makes the test ``diverged``, whatever it recorded. If every run failed, or was
    skipped, values recorded before that do not count, unless one of several ranks went on. A lost run makes
    the test ``failed``. If only the reference value of every axis is available, the test is ``skipped``:
    nothing that it varies was compared.
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
    """Whether other values were requested, and all of them are unavailable."""
    varied = any(run.state == "ran" and run.axis != REPEAT for run in runs)
    return not varied and any(run.state == "absent" for run in runs)
