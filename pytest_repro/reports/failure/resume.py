"""Why a training is not resumable, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports.failure.text import terms
from pytest_repro.reports.failure.values import distance

_SHOWN = 3


def nothing(name: str) -> str:
    """What is said where there is nothing to compare."""
    return (
        f"{name} observed nothing: it gave no values, and no module, optimiser, tensor or array was found in "
        "what make() gave, so nothing could be compared"
    )


def unsteady(name: str, first: Mismatch, begin: int) -> str:
    """What is said where training straight is not reproducible.

    Args:
        name: What the training is called.
        first: What differs first of that which was compared.
        begin: Number of the first value that was compared.
    """
    since = f" (compared from train()[{begin}] on)" if begin else ""
    return (
        f"{name} is not reproducible: trained straight twice, {first.name} differs{since}, so nothing can "
        "be said of resuming; assert_reproducible looks for the cause"
    )


def failure(name: str, at: int, steps: int, verdict: Verdict, missing: Any, ignored: object = None) -> str:
    """The whole failure text.

    Args:
        name: What the training is called.
        at: Number of steps after which it was stopped.
        steps: Number of steps in all.
        verdict: What differs.
        missing: An :class:`~pytest_repro.assertions.resumed_training.Missing`.
        ignored: What ``load`` returned.
    """
    lines = [*_failure(name, at, steps, verdict, missing)]
    if ignored is not None:
        gave = f"load() returned a {type(ignored).__qualname__}, which is not looked at"
        lines.append(f"  {'besides':<10} {gave}: it has to change the state it is given")
    return "\n".join(lines)


def _failure(name: str, at: int, steps: int, verdict: Verdict, missing: Any) -> Iterator[str]:
    asked = terms(verdict.plan).replace(f", {verdict.plan.runs} runs", "")
    yield f"{name} is not resumable ({asked}): stopped after {at} of {steps} steps, it goes on otherwise"
    yield ""
    for each in verdict.mismatches[:_SHOWN]:
        far = distance(each.difference) if each.difference is not None else each.detail or each.problem
        yield f"  {each.name}   {each.kind}   {far}"
    rest = len(verdict.mismatches) - _SHOWN
    if rest > 0:
        yield f"  and {rest} more"
    yield ""
    changed = [part for part in missing.parts if part.name in missing.changed]
    if changed:
        yield from _changed(missing.changed)
    if missing.paused or missing.unseen or len(changed) < len(missing.parts):
        yield from _paused() if missing.paused else _unseen(missing) if missing.unseen else _missing(missing)


def _changed(names: Sequence[str]) -> Iterator[str]:
    yield f"  changed    {', '.join(names)}: by save(), which saved what training did not stop with"
    yield f"  {'':<10} have it save a copy: copy.deepcopy(…) before what it converts or moves in place"


def _missing(missing: Any) -> Iterator[str]:
    width = max(len(part.name) for part in missing.parts)
    for number, part in enumerate(missing.parts):
        fix = part.fix and f"   save and load it: {part.fix}"
        yield f"  {'missing' if number == 0 else '':<10} {part.name:<{width}}{fix}".rstrip()
    these = "it" if len(missing.parts) == 1 else "them"
    yield f"  {'':<10} put back as at the stop, training goes on as if it had not stopped"
    yield f"  {'':<10} the checkpoint lacks {these}, or load() does not put {these} back"


def _paused() -> Iterator[str]:
    yield "  missing    nothing that save() and load() could bring: stopping alone makes the difference"
    yield "  look for   what train() begins anew in each call: an iterator over a loader (the place in the"
    yield "             epoch), a scheduler, a generator; keep it in the state"


def _unseen(missing: Any) -> Iterator[str]:
    yield "  missing    what cannot be seen in the state: putting back all else was not enough"
    if missing.parts:
        yield f"  besides    not as at the stop: {', '.join(part.name for part in missing.parts)}"
    yield "  look for   globals, closures, iterators, objects that have no state_dict()"
