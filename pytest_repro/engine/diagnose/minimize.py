"""Reduces suspects, calls and changes to those that make the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TypeVar

from pytest_repro.core.diagnose import Change, Evidence, Experiment, ExperimentResult, ExternalCall
from pytest_repro.engine.diagnose import ExperimentFailed
from pytest_repro.engine.diagnose.findings import describe_unseen_state, get_cause_name
from pytest_repro.engine.experiments.state.state_diff import MOVED, find_owner, join_changes

T = TypeVar("T")

SHARED_STATE = "shared-state"

StateItem = Change | ExternalCall
"""What a run leaves for the next: a change, or a call that seeds or sets something."""

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
        changed = experiment._replace(passthrough_sites=tuple(sites), until_differing=True)
        return not run_experiment(changed, f"suspended except at {exception}").equal

    calls = evidence.calls
    with suppress(ExperimentFailed):
        for name in dict.fromkeys(map(get_cause_name, suspects)):
            lines = list(dict.fromkeys(call.location for call in evidence.calls_for(name)))
            if len(lines) > 1:
                lines = [line for line in bisect_lines(lines, differs) if differs([line])] or lines
            found = [call for call in evidence.calls_for(name) if call.location in lines]
            sites = list(dict.fromkeys(call.site for call in found))
            if len(lines) < len(sites) <= MAX_SINGLE_TRIES:
                sites = [site for site in sites if differs([site])] or sites
            calls = tuple(call for call in calls if call.cause != name or call.site in sites)
    return replace(evidence, calls=calls)


def bisect_lines(lines: list[str], differs: Callable[[Sequence[str]], bool]) -> list[str]:
    """Takes a half of *lines* that makes a difference until the rest can be tried one at a time."""
    while len(lines) > MAX_SINGLE_TRIES:
        middle = len(lines) // 2
        lines = lines[:middle] if differs(lines[:middle]) else lines[middle:]
    return lines


def minimize_changes(
    evidence: Evidence,
    experiment: Experiment,
    run_experiment: ExperimentRunner,
    is_equal: Callable[[ExperimentResult], bool],
) -> Evidence | str:
    """*evidence* with only the state that makes the runs of *experiment* differ.

    Changes are restored before each run, additions removed; calls that seed or set something are left out.

    Returns:
        Why none is known to: what runs differed without, and what could not be restored.
    """

    def run_without(items: Sequence[StateItem]) -> ExperimentResult:
        names, lines = (
            _list_names(items, evidence),
            [each.location for each in items if isinstance(each, ExternalCall)],
        )
        omitted = tuple(dict.fromkeys(lines))
        changed = experiment._replace(restored_names=names, omitted_lines=omitted, until_differing=True)
        return run_experiment(changed, _describe_items(items))

    calls = evidence.calls_for(SHARED_STATE)
    located = [change for change in evidence.changes if change.location]
    located.sort(key=lambda change: change.description == MOVED)  # it may only pass on what another yields
    items: list[StateItem] = [
        *located,
        *calls,
        *(change for change in evidence.changes if not change.location),
    ]
    result = run_without(items)
    if not is_equal(result):  # a setup that runs once, such as setUpClass, may have made what was removed
        experiment = experiment._replace(keeps_setup=True)
        result = run_without(items)
    if not is_equal(result):
        failed = [name for name in _list_names(items, evidence) if name not in result.restored_names]
        return describe_unseen_state([*join_changes(evidence.changes), *calls], failed)
    items = _minimize_items(items, lambda rest: is_equal(run_without(rest)))
    changes = join_changes([item for item in items if isinstance(item, Change)])
    changes = _locate_settings(changes, experiment, run_experiment)
    kept = tuple(call for call in evidence.calls if call.cause != SHARED_STATE or call in items)
    return replace(evidence, changes=changes, calls=kept)


def _locate_settings(
    changes: tuple[Change, ...], experiment: Experiment, run_experiment: ExperimentRunner
) -> tuple[Change, ...]:
    """*changes* with the lines that make them, where no line defines what is changed."""
    names = tuple(change.name for change in changes if not change.location)
    if not names:
        return changes
    with suppress(ExperimentFailed):
        single = experiment._replace(cells=experiment.cells[:1], located_names=names)
        result = run_experiment(single, "run again, to find the line that sets it")
        lines = {change.name: change.location for change in result.changes}
        return tuple(each._replace(location=each.location or lines.get(each.name, "")) for each in changes)
    return changes


def _list_names(items: Sequence[StateItem], evidence: Evidence) -> tuple[str, ...]:
    """What to restore: a module or an optimiser as a whole, if all of its changes are among *items*."""
    names: dict[str, None] = {}
    for change in (item for item in items if isinstance(item, Change)):
        parts = [each for each in evidence.changes if change.owner and each.owner == change.owner]
        whole = parts and all(part in items for part in parts)
        names[change.owner if whole else change.name] = None
    return tuple(names)


def _describe_items(items: Sequence[StateItem]) -> str:
    if len(items) > 1:
        return f"{len(items)} changes restored"
    (item,) = items
    return f"{item.name} restored" if isinstance(item, Change) else f"{item.display_name} left out"


def _minimize_items(items: list[StateItem], suffices: Callable[[list[StateItem]], bool]) -> list[StateItem]:
    """The part of *items* that suffices to make runs equal, as far as the time allows."""
    by_owner: dict[str, list[StateItem]] = {}
    for item in items:
        owner = find_owner(item) if isinstance(item, Change) else item.location
        by_owner.setdefault(owner, []).append(item)
    groups = list(by_owner.values())
    with suppress(ExperimentFailed):
        for size in sorted({max(1, len(groups) // 2), max(1, len(groups) // 4), 1}, reverse=True):
            for start in range(0, len(groups), size)[::-1]:
                rest = groups[:start] + groups[start + size :]
                if rest and suffices([*chain(*rest)]):
                    groups = rest
        for number, group in enumerate(groups):
            others = [*chain(*groups[:number], *groups[number + 1 :])]
            groups[number] = _minimize_parts(group, partial(_suffices_with, suffices, others))
    return [*chain(*groups)]


def _suffices_with(
    suffices: Callable[[list[StateItem]], bool], others: list[StateItem], rest: list[StateItem]
) -> bool:
    return suffices([*others, *rest])


def _minimize_parts(items: list[T], suffices: Callable[[list[T]], bool]) -> list[T]:
    """As :func:`minimize`; of many parts only while half of them suffices: most objects change as one."""
    while len(items) > MAX_SINGLE_TRIES:
        middle = len(items) // 2
        half = next((half for half in (items[:middle], items[middle:]) if suffices(half)), None)
        if half is None:
            return items
        items = half
    return minimize(items, suffices)


def minimize(items: list[T], suffices: Callable[[list[T]], bool]) -> list[T]:
    """A minimal part of *items* that suffices to make runs equal; drops the last ones first."""
    for item in items[::-1]:
        rest = [other for other in items if other != item]
        if rest and suffices(rest):
            items = rest
    return items
