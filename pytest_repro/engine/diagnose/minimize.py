"""Reduces suspects, calls and changes to those that make the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from pytest_repro.core.diagnose import Change, Evidence, Experiment, ExperimentResult
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
    """*evidence* without the calls that make no difference when their site alone is not suspended.

    Args:
        evidence: From before the suspects were suspended.
        suspects: Suspended together they make runs equal, as *experiment* showed.
    """

    def differs(sites: Sequence[str]) -> bool:
        exception = sites[0].rpartition("/")[2].rstrip() if len(sites) == 1 else f"{len(sites)} lines"
        changed = experiment._replace(passthrough_sites=tuple(sites))
        return not run_experiment(changed, f"suspended except at {exception}").equal

    calls = evidence.calls
    with suppress(ExperimentFailed):
        for name in dict.fromkeys(map(get_cause_name, suspects)):
            lines = list(dict.fromkeys(call.location for call in evidence.calls_for(name)))
            if len(lines) > 1:
                lines = [line for line in _bisect_lines(lines, differs) if differs([line])] or lines
            found = [call for call in evidence.calls_for(name) if call.location in lines]
            sites = list(dict.fromkeys(call.site for call in found))
            if len(lines) < len(sites) <= MAX_SINGLE_TRIES:
                sites = [site for site in sites if differs([site])] or sites
            calls = tuple(call for call in calls if call.cause != name or call.site in sites)
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
        changed = experiment._replace(restored_names=tuple(change.name for change in changes))
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
