"""Failure texts of a training that is not resumable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports.failure.layout import format_labelled
from pytest_repro.reports.failure.text import describe_plan
from pytest_repro.reports.failure.values import format_distance

_MAX_MISMATCHES = 3


def format_no_observation(name: str) -> str:
    """The failure text of a training without anything to compare."""
    return (
        f"{name} observed nothing: train() returned no values, and what make() returned has no module, "
        "optimizer, tensor or array, so nothing was compared"
    )


def format_not_reproducible(name: str, first: Mismatch, start: int) -> str:
    """The failure text of a training that is not even reproducible without stopping.

    Args:
        name: Name of the training.
        first: The first mismatch.
        start: Number of the first value that was compared.
    """
    since = f" (compared from train()[{start}] on)" if start else ""
    return (
        f"{name} is not reproducible: {first.name} differs between two uninterrupted trainings{since}, so "
        "resuming was not tested; assert_reproducible finds the cause"
    )


def format_failure(
    name: str, stop_step: int, steps: int, verdict: Verdict, missing: Any, load_result: object = None
) -> str:
    """The failure text of a training that continues differently after it was stopped.

    Args:
        name: Name of the training.
        stop_step: Number of steps before the stop.
        steps: Number of steps in all.
        verdict: What differs.
        missing: A :class:`~pytest_repro.assertions.training_state.MissingState`.
        load_result: What ``load`` returned.
    """
    described_plan = describe_plan(verdict.plan).replace(f", {verdict.plan.runs} runs", "")
    lines = [
        f"{name} is not resumable ({described_plan}): "
        f"stopped after {stop_step} of {steps} steps, it continues differently",
        "",
    ]
    for mismatch in verdict.mismatches[:_MAX_MISMATCHES]:
        difference = mismatch.difference
        far = format_distance(difference) if difference else mismatch.detail or mismatch.problem
        lines.append(f"  {mismatch.name}   {mismatch.kind}   {far}")
    if (rest := len(verdict.mismatches) - _MAX_MISMATCHES) > 0:
        lines.append(f"  and {rest} more")
    lines += ["", *_format_missing(missing)]
    if load_result is not None:
        unused = (
            f"load() returned a {type(load_result).__qualname__}, which is ignored: it must change the state"
        )
        lines += format_labelled("note", [unused])
    return "\n".join(lines)


def _format_missing(missing: Any) -> Iterator[str]:
    changed = [part for part in missing.parts if part.name in missing.changed_by_save]
    if changed:
        yield from format_labelled("changed", _describe_changed_state(missing.changed_by_save))
    if missing.pause_differs:
        yield from format_labelled(
            "missing", ["nothing that save() and load() could restore: stopping itself matters"]
        )
        yield from format_labelled("look for", _PAUSE_HINTS)
    elif missing.unexplained:
        yield from format_labelled(
            "missing", ["something not in the state: restoring the whole state was not enough"]
        )
        if missing.parts:
            names = ", ".join(part.name for part in missing.parts)
            yield from format_labelled("note", [f"not as it was at the stop: {names}"])
        yield from format_labelled(
            "look for", ["globals, closures, iterators, objects without a state_dict()"]
        )
    elif len(changed) < len(missing.parts):
        yield from format_labelled("missing", _describe_missing_state(missing.parts))


_PAUSE_HINTS = (
    "what train() creates in each call: an iterator over a loader (the position in the",
    "epoch), a scheduler, a generator; keep it in the state",
)


def _describe_changed_state(names: Sequence[str]) -> Iterator[str]:
    yield f"{', '.join(names)}: save() changed the state it should only read"
    yield "save a copy: copy.deepcopy(…) before any conversion or in-place move"


def _describe_missing_state(parts: Sequence[Any]) -> Iterator[str]:
    width = max(len(part.name) for part in parts)
    for part in parts:
        fix = part.fix and f"   save and load it: {part.fix}"
        yield f"{part.name:<{width}}{fix}"
    them = "it" if len(parts) == 1 else "them"
    yield f"with {them} restored, training continues as if it had not stopped:"
    yield f"the checkpoint lacks {them}, or load() does not restore {them}"
