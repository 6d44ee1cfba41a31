"""The failure text of rows that hang on their batch."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports.failure.values import format_distance


def format_failure(name: str, batch_size: int, verdict: Verdict) -> str:
    """What differs, by the number of rows given at a time.

    Args:
        name: What is called not invariant.
        batch_size: Number of rows of the batch.
        verdict: Of the runs on the axis ``batch``.
    """
    close = verdict.plan.tolerance
    exact = close is None or close.exact
    asked = "bit for bit" if close is None or exact else f"within rtol {close.rtol:g} and atol {close.atol:g}"
    lines = [f"{name} is not batch invariant ({asked}, {batch_size} rows)", ""]
    for run in verdict.runs[1:]:
        found = [each for each in verdict.mismatches if each.value == run.value]
        lines += _format_size(run.value, found, verdict.runs[0].value)
    lines += [
        "",
        "  look for   products and reductions that take another way for another number of rows, and",
    ]
    lines += ["             statistics over the batch (BatchNorm in training mode, padding, sorting)"]
    return "\n".join(lines)


def _describe_size(size: object) -> str:
    return "the whole batch" if size is None else f"batches of {size}"


def _format_size(size: object, mismatches: list[Mismatch], reference_size: object) -> Iterator[str]:
    if not mismatches:
        yield f"  {_describe_size(size)}   equal to {_describe_size(reference_size)}"
    for each in mismatches:
        what = each.name.removeprefix("rows") or "rows"
        yield f"  {_describe_size(size)}   {what} {each.kind}"
        far = each.difference
        if far is None or far.first_index is None or far.first_values is None:
            yield f"    {each.kind}, then {each.other_kind or 'nothing'}"
            continue
        yield f"    V_c {far.share:.3g}: {format_distance(far)}"
        (first, other), index = far.first_values, list(far.first_index)
        sides = f"{first} in {_describe_size(reference_size)}, {other} in {_describe_size(size)}"
        # Where closeness is asked, the first to differ at all need not be one of those outside of it.
        which = "first row" if far.outside_tolerance == far.differing else "first to differ at all: row"
        yield f"    {which} {index[0]}: at {index} {sides}"
