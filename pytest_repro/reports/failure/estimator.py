"""Failure text of ``assert_estimator_reproducible``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_repro.axes import get_axis
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.failure import format_labelled, format_tolerance
from pytest_repro.reports.failure.cause import format_diagnosis
from pytest_repro.reports.failure.text import format_lost_runs
from pytest_repro.reports.failure.values import format_differing_names, format_distance, format_mismatch

_NAMES = {"refit": "fit again", "clone": "clone"}
_UNKNOWN = "unknown: assert_reproducible() of a function that fits it looks further"


def format_estimator_failure(name: str, verdict: Verdict) -> str:
    """A table of the fits, the first value that differs, the largest difference and the reason."""
    if verdict.outcome == "failed":
        return format_lost_runs(name, verdict)
    lines = [f"{name} is not reproducible ({format_tolerance(verdict.plan.tolerance)})", ""]
    lines += _format_table(verdict.runs[1:], verdict.mismatches)
    lines += ["", *_format_first(verdict.mismatches)]
    causes = format_diagnosis(verdict) if verdict.causes else format_labelled("cause", [_UNKNOWN])
    return "\n".join([*lines, "", *causes])


def _format_name(run: Run | Mismatch) -> str:
    axis, value = run.repeat_of or (run.axis, run.value)
    shown = _NAMES.get(axis) or get_axis(axis).format_value(value)
    return f"{shown} again" if run.repeat_of else shown


def _format_table(runs: Sequence[Run], mismatches: Sequence[Mismatch]) -> Iterator[str]:
    width = max(len(_format_name(run)) for run in runs)
    for run in runs:
        found = [
            m for m in mismatches if (m.axis, m.value, m.repeat_of) == (run.axis, run.value, run.repeat_of)
        ]
        yield f"  {_format_name(run):<{width}}   {_format_cell(run, found)}"


def _format_cell(run: Run, found: Sequence[Mismatch]) -> str:
    if run.state != "ran":
        return run.error
    same = "equal to the first with them" if run.repeat_of else "equal"
    return format_differing_names(found[0].name, len(found)) if found else same


def _format_first(mismatches: Sequence[Mismatch]) -> Iterator[str]:
    """The first value that differs, and the one that differs most if that is another."""
    first = mismatches[0]
    yield f"  {first.name}   {first.kind}".rstrip()
    if first.problem == "missing":
        yield f"    {first.detail}"
    else:
        yield from format_mismatch(first, "in the first fit", f"in the other ({_format_name(first)})")
    numbers = [m for m in mismatches if m.kind.startswith(("float", "complex"))]
    largest = max(numbers, key=_get_max_abs, default=first)
    if largest.difference is not None and largest is not first:
        shown = (
            f"{largest.name} {largest.kind}, {_format_name(largest)}: {format_distance(largest.difference)}"
        )
        yield from format_labelled("largest", [shown])


def _get_max_abs(mismatch: Mismatch) -> float:
    return -1.0 if mismatch.difference is None else mismatch.difference.max_abs or -1.0
