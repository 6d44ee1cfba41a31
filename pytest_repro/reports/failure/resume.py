"""Why a training is not resumable, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports.failure.text import describe_plan
from pytest_repro.reports.failure.values import format_distance

_MAX_MISMATCHES = 3


def format_no_observation(name: str) -> str:
    """What is said where there is nothing to compare."""
    return (
        f"{name} observed nothing: it gave no values, and no module, optimiser, tensor or array was found in "
        "what make() gave, so nothing could be compared"
    )


def format_not_reproducible(name: str, first: Mismatch, start: int) -> str:
    """What is said where training straight is not reproducible.

    Args:
        name: What the training is called.
        first: What differs first of that which was compared.
        start: Number of the first value that was compared.
    """
    since = f" (compared from train()[{start}] on)" if start else ""
    return (
        f"{name} is not reproducible: trained straight twice, {first.name} differs{since}, so nothing can "
        "be said of resuming; assert_reproducible looks for the cause"
    )


def format_failure(
    name: str, stop_step: int, steps: int, verdict: Verdict, missing: Any, load_result: object = None
) -> str:
    """The whole failure text.

    Args:
        name: What the training is called.
        stop_step: Number of steps after which it was stopped.
        steps: Number of steps in all.
        verdict: What differs.
        missing: An :class:`~pytest_repro.assertions.resumed_training.MissingState`.
        load_result: What ``load`` returned.
    """
    lines = [*_format_lines(name, stop_step, steps, verdict, missing)]
    if load_result is not None:
        gave = f"load() returned a {type(load_result).__qualname__}, which is not looked at"
        lines.append(f"  {'besides':<10} {gave}: it has to change the state it is given")
    return "\n".join(lines)


def _format_lines(name: str, stop_step: int, steps: int, verdict: Verdict, missing: Any) -> Iterator[str]:
    asked = describe_plan(verdict.plan).replace(f", {verdict.plan.runs} runs", "")
    yield f"{name} is not resumable ({asked}): stopped after {stop_step} of {steps} steps, it goes on otherwise"
    yield ""
    for each in verdict.mismatches[:_MAX_MISMATCHES]:
        far = format_distance(each.difference) if each.difference is not None else each.detail or each.problem
        yield f"  {each.name}   {each.kind}   {far}"
    rest = len(verdict.mismatches) - _MAX_MISMATCHES
    if rest > 0:
        yield f"  and {rest} more"
    yield ""
    changed = [part for part in missing.parts if part.name in missing.changed_by_save]
    if changed:
        yield from _format_changed_state(missing.changed_by_save)
    if missing.pause_differs or missing.unexplained or len(changed) < len(missing.parts):
        yield from (
            _format_interruption()
            if missing.pause_differs
            else _format_invisible_state(missing)
            if missing.unexplained
            else _format_missing_state(missing)
        )


def _format_changed_state(names: Sequence[str]) -> Iterator[str]:
    yield f"  changed    {', '.join(names)}: by save(), which saved what training did not stop with"
    yield f"  {'':<10} have it save a copy: copy.deepcopy(…) before what it converts or moves in place"


def _format_missing_state(missing: Any) -> Iterator[str]:
    width = max(len(part.name) for part in missing.parts)
    for number, part in enumerate(missing.parts):
        fix = part.fix and f"   save and load it: {part.fix}"
        yield f"  {'missing' if number == 0 else '':<10} {part.name:<{width}}{fix}".rstrip()
    these = "it" if len(missing.parts) == 1 else "them"
    yield f"  {'':<10} put back as at the stop, training goes on as if it had not stopped"
    yield f"  {'':<10} the checkpoint lacks {these}, or load() does not put {these} back"


def _format_interruption() -> Iterator[str]:
    yield "  missing    nothing that save() and load() could bring: stopping alone makes the difference"
    yield "  look for   what train() begins anew in each call: an iterator over a loader (the place in the"
    yield "             epoch), a scheduler, a generator; keep it in the state"


def _format_invisible_state(missing: Any) -> Iterator[str]:
    yield "  missing    what cannot be seen in the state: putting back all else was not enough"
    if missing.parts:
        yield f"  besides    not as at the stop: {', '.join(part.name for part in missing.parts)}"
    yield "  look for   globals, closures, iterators, objects that have no state_dict()"
