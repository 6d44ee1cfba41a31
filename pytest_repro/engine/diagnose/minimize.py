"""Reduces suspects, calls and changes to those that make the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from pytest_repro.core.diagnose import Change, Evidence, Experiment, ExperimentResult
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose import ExperimentFailed
from pytest_repro.engine.diagnose.findings import get_cause_name

T = TypeVar("T")

SHARED_STATE = "shared-state"

MAX_SINGLE_TRIES = 8
"""Lines, changes or suspects that are tried one at a time."""

ExperimentRunner = Callable[[Experiment, str], ExperimentResult]
"""Runs an experiment; its second argument is shown to the user."""


def minimize_calls(
    evidence: Evidence, suspects: Sequence[str], experiment: Experiment, run_experiment: ExperimentRunner
) -> Evidence:
    """*evidence* without the calls that make no difference when their line alone is not suspended.

    Args:
        evidence: From before the suspects were suspended.
        suspects: Suspended together they make runs equal, as *experiment* showed.
    """

    def differs(lines: Sequence[str]) -> bool:
        exception = lines[0].rpartition("/")[2] if len(lines) == 1 else f"{len(lines)} lines"
        changed = experiment._replace(passthrough_lines=tuple(lines), until_differing=True)
        return not run_experiment(changed, f"suspended except at {exception}").equal

    calls = evidence.calls
    with suppress(ExperimentFailed):
        for name in dict.fromkeys(map(get_cause_name, suspects)):
            lines = list(dict.fromkeys(call.location for call in evidence.calls_for(name)))
            if len(lines) > 1:
                found = [line for line in _bisect_lines(lines, differs) if differs([line])] or lines
                calls = tuple(call for call in calls if call.cause != name or call.location in found)
    return replace(evidence, calls=calls)


def _bisect_lines(lines: list[str], differs: Callable[[Sequence[str]], bool]) -> list[str]:
    """Takes a half of *lines* that makes a difference until the rest can be tried one at a time."""
    while len(lines) > MAX_SINGLE_TRIES:
        middle = len(lines) // 2
        lines = lines[:middle] if differs(lines[:middle]) else lines[middle:]
    return lines


def minimize_changes(
    evidence: Evidence, experiment: Experiment, run_experiment: ExperimentRunner
) -> Evidence | None:
    """*evidence* with only the changes that must be restored to make the runs of *experiment* equal.

    Returns:
        None if runs still differ when all changes are restored.
    """

    def run_restoring(changes: Sequence[Change]) -> ExperimentResult:
        restored = changes[0].name if len(changes) == 1 else f"{len(changes)} changes"
        names = tuple(change.name for change in changes)
        changed = experiment._replace(restored_names=names, until_differing=True)
        return run_experiment(changed, f"{restored} restored")

    changes = evidence.changes
    try:
        result = run_restoring(changes)
        if not result.equal:
            failed = [change for change in changes if change.name not in result.restored_names]
            restored = [change for change in changes if change not in failed]
            return replace(evidence, changes=(*failed, *restored)) if failed else None
        if len(changes) <= MAX_SINGLE_TRIES:
            changes = tuple(minimize(list(changes), lambda rest: run_restoring(rest).equal))
    except ExperimentFailed:
        return evidence
    calls = tuple(call for call in evidence.calls if call.cause != SHARED_STATE)
    return replace(evidence, changes=changes, calls=calls)


def minimize(items: list[T], suffices: Callable[[list[T]], bool]) -> list[T]:
    """A minimal part of *items* that suffices to make runs equal; drops the last ones first."""
    for item in items[::-1]:
        rest = [other for other in items if other != item]
        if rest and suffices(rest):
            items = rest
    return items


def put_earliest_first(
    suspects: Sequence[str],
    original: Divergence | None,
    find_divergence: Callable[[Sequence[str]], Divergence | None],
) -> list[str]:
    """*suspects*, starting with the one that makes the first op diverge.

    Args:
        suspects: Each of them makes a difference.
        original: Where runs diverge if none of them is suspended.
        find_divergence: Where runs diverge if some are suspended.
    """
    place = _get_place(original)
    with suppress(ExperimentFailed):
        for suspect in suspects[:MAX_SINGLE_TRIES] if place else ():
            others = [other for other in suspects if other != suspect]
            if _get_place(find_divergence([each for each in others if each != SHARED_STATE])) == place:
                return [suspect, *others]
    return list(suspects)


def _get_place(divergence: Divergence | None) -> tuple[object, ...]:
    return (divergence.index, divergence.op, divergence.location) if divergence is not None else ()
