"""Failure texts of ``assert_batch_invariant``, ``assert_resumable`` and ``assert_estimator_reproducible``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_repro.axes import get_axis
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.runs.run import Run
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import format_labelled, format_tolerance
from pytest_repro.reports.failure.cause import format_diagnosis
from pytest_repro.reports.failure.runs import describe_plan
from pytest_repro.reports.failure.text import format_lost_runs
from pytest_repro.reports.failure.values import format_differing_names, format_distance, format_mismatch

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
