"""Failure texts of ``assert_batch_invariant`` and ``assert_resumable``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import format_labelled, format_tolerance
from pytest_repro.reports.failure.runs import describe_plan
from pytest_repro.reports.failure.values import format_distance, format_mismatch

_MAX_MISMATCHES = 3

_BATCH_HINTS = (
    "products and reductions that choose an algorithm by the number of rows, and",
    "statistics over the batch (BatchNorm in training mode, padding, sorting)",
)
_PAUSE_HINTS = (
    "what train() creates in each call: an iterator over a loader (the position in the",
    "epoch), a scheduler, a generator; keep it in the state",
)


def format_batch_failure(name: str, batch_size: int, verdict: Verdict) -> str:
    """What differs, by batch size; the runs of *verdict* are on the axis ``batch``."""
    tolerance = format_tolerance(verdict.plan.tolerance)
    lines = [f"{name} is not batch invariant ({tolerance}, {batch_size} rows)", ""]
    reference, *runs = verdict.runs
    for run in runs:
        mismatches = [m for m in verdict.mismatches if m.value == run.value]
        lines += _format_size(_describe_size(run.value), mismatches, _describe_size(reference.value))
    return "\n".join([*lines, "", *format_labelled("look for", _BATCH_HINTS)])


def _describe_size(size: object) -> str:
    return "the whole batch" if size is None else f"batches of {size}"


def _format_size(size: str, mismatches: list[Mismatch], reference: str) -> Iterator[str]:
    if not mismatches:
        yield f"  {size}   equal to {reference}"
    for mismatch in mismatches:
        yield f"  {size}   {mismatch.name.removeprefix('rows') or 'rows'} {mismatch.kind}"
        difference = mismatch.difference
        if difference is None or difference.first_index is None or difference.first_values is None:
            yield from format_mismatch(mismatch, f"in {reference}", f"in {size}")
        else:
            yield f"    V_c {difference.share:.3g}: {format_distance(difference)}"
            (first, other), index = difference.first_values, list(difference.first_index)
            # Within a tolerance, the first element that differs need not be outside of it.
            outside = difference.outside_tolerance == difference.differing
            which = "first row" if outside else "first row that differs at all:"
            yield f"    {which} {index[0]}: at {index} {first} in {reference}, {other} in {size}"


def format_no_observation(name: str) -> str:
    """The failure text of a training without anything to compare."""
    return (
        f"{name} observed nothing: train() returned no values, and what make() returned has no module, "
        "optimizer, tensor or array, so nothing was compared"
    )


def format_not_reproducible(name: str, first: Mismatch, start: int) -> str:
    """The failure text of a training that is not even reproducible without stopping.

    *first* is the first mismatch, *start* the number of the first value that was compared.
    """
    since = f" (compared from train()[{start}] on)" if start else ""
    return (
        f"{name} is not reproducible: {first.name} differs between two uninterrupted trainings{since}, so "
        "resuming was not tested; assert_reproducible finds the cause"
    )


def format_resume_failure(
    name: str, stop_step: int, steps: int, verdict: Verdict, missing: Any, load_result: object = None
) -> str:
    """The failure text of a training that continues differently after it was stopped.

    *missing* is a :class:`~pytest_repro.assertions.training_state.MissingState`, *load_result* what ``load``
    returned.
    """
    described_plan = describe_plan(verdict.plan).replace(f", {verdict.plan.runs} runs", "")
    stopped = f"stopped after {stop_step} of {steps} steps, it continues differently"
    lines = [f"{name} is not resumable ({described_plan}): {stopped}", ""]
    for mismatch in verdict.mismatches[:_MAX_MISMATCHES]:
        difference = mismatch.difference
        far = format_distance(difference) if difference else mismatch.detail or mismatch.problem
        lines.append(f"  {mismatch.name}   {mismatch.kind}   {far}")
    if (rest := len(verdict.mismatches) - _MAX_MISMATCHES) > 0:
        lines.append(f"  and {rest} more")
    lines += ["", *_format_missing(missing)]
    if load_result is not None:
        returned = f"load() returned a {type(load_result).__qualname__}"
        lines += format_labelled("note", [f"{returned}, which is ignored: it must change the state"])
    return "\n".join(lines)


def _format_missing(missing: Any) -> Iterator[str]:
    changed = [part for part in missing.parts if part.name in missing.changed_by_save]
    if changed:
        names = ", ".join(missing.changed_by_save)
        yield from format_labelled(
            "changed",
            [
                f"{names}: save() changed the state it should only read",
                "save a copy: copy.deepcopy(…) before any conversion or in-place move",
            ],
        )
    if missing.pause_differs:
        nothing = "nothing that save() and load() could restore: stopping itself matters"
        yield from format_labelled("missing", [nothing])
        yield from format_labelled("look for", _PAUSE_HINTS)
    elif missing.unexplained:
        something = "something not in the state: restoring the whole state was not enough"
        yield from format_labelled("missing", [something])
        if missing.parts:
            names = ", ".join(part.name for part in missing.parts)
            yield from format_labelled("note", [f"not as it was at the stop: {names}"])
        hint = "globals, closures, iterators, objects without a state_dict()"
        yield from format_labelled("look for", [hint])
    elif len(changed) < len(missing.parts):
        yield from format_labelled("missing", _describe_missing_state(missing.parts))


def _describe_missing_state(parts: Sequence[Any]) -> Iterator[str]:
    width = max(len(part.name) for part in parts)
    for part in parts:
        fix = part.fix and f"   save and load it: {part.fix}"
        yield f"{part.name:<{width}}{fix}"
    them = "it" if len(parts) == 1 else "them"
    yield f"with {them} restored, training continues as if it had not stopped:"
    yield f"the checkpoint lacks {them}, or load() does not restore {them}"


def find_resume_causes(missing: Any) -> tuple[Finding, ...]:
    """What a checkpoint lacks, as a cause; none if that is unknown: *missing* as above."""
    if missing.pause_differs or missing.unexplained or missing.changed_by_save:
        return ()
    names = format_list([part.name for part in missing.parts], _MAX_MISMATCHES)
    why = f"the checkpoint lacks what the steps before the stop left for the next: {names}"
    fix = "; ".join(f"save and load {part.name}: {part.fix}" for part in missing.parts[:_MAX_MISMATCHES])
    return (Finding("shared-state", explanation=why, fix=fix),)
