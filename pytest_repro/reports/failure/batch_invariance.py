"""The failure text of a function whose rows depend on their batch."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports.failure.layout import format_labelled, format_tolerance
from pytest_repro.reports.failure.values import format_distance

_HINTS = (
    "products and reductions that choose an algorithm by the number of rows, and",
    "statistics over the batch (BatchNorm in training mode, padding, sorting)",
)


def format_failure(name: str, batch_size: int, verdict: Verdict) -> str:
    """What differs, by batch size.

    Args:
        name: Name of the function.
        batch_size: Number of rows of the whole batch.
        verdict: Its runs are on the axis ``batch``.
    """
    reference, *runs = verdict.runs
    lines = [
        f"{name} is not batch invariant ({format_tolerance(verdict.plan.tolerance)}, {batch_size} rows)",
        "",
    ]
    for run in runs:
        mismatches = [m for m in verdict.mismatches if m.value == run.value]
        lines += _format_size(_describe_size(run.value), mismatches, _describe_size(reference.value))
    return "\n".join([*lines, "", *format_labelled("look for", _HINTS)])


def _describe_size(size: object) -> str:
    return "the whole batch" if size is None else f"batches of {size}"


def _format_size(size: str, mismatches: list[Mismatch], reference: str) -> Iterator[str]:
    if not mismatches:
        yield f"  {size}   equal to {reference}"
    for mismatch in mismatches:
        yield f"  {size}   {mismatch.name.removeprefix('rows') or 'rows'} {mismatch.kind}"
        difference = mismatch.difference
        if mismatch.problem == "missing":
            yield f"    recorded in {size if mismatch.other_kind else reference} only"
            continue
        if mismatch.problem == "kind":
            yield f"    {mismatch.kind} in {reference}, {mismatch.other_kind} in {size}"
            continue
        if difference is None or difference.first_index is None or difference.first_values is None:
            yield f"    {mismatch.detail}"
            continue
        yield f"    V_c {difference.share:.3g}: {format_distance(difference)}"
        (first, other), index = difference.first_values, list(difference.first_index)
        # Within a tolerance, the first element that differs need not be outside of it.
        outside = difference.outside_tolerance == difference.differing
        which = "first row" if outside else "first row that differs at all:"
        yield f"    {which} {index[0]}: at {index} {first} in {reference}, {other} in {size}"
