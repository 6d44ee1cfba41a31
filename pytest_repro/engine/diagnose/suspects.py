"""Who is suspected, in which order; how suspects are suspended; and what is said of those that did it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from pytest_repro.causes import Cause, get_cause, list_cause_names
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Finding


def get_cause_name(suspect: str) -> str:
    """The cause word of a way to suspend it: ``"nondeterministic-op:threads"``."""
    return suspect.partition(":")[0]


def describe_suspension(suspect: str) -> str:
    """What suspending it is called."""
    cause = get_cause(get_cause_name(suspect))
    return cause.suspension_names.get(suspect.partition(":")[2], f"{cause.name} held")


def rank_suspects(evidence: Evidence) -> list[str]:
    """What can have made runs of one process differ, in the order in which it is suspended.

    First what speaks for itself: calls that were heard, an op that gave another output for equal
    inputs; then what the last run left behind; then the rest.
    """
    found = [cause for cause in map(get_cause, list_cause_names()) if cause.is_candidate(evidence)]
    pressing = [cause for cause in found if cause.has_evidence(evidence)]
    pressing.sort(key=lambda cause: cause.name != "nondeterministic-op")
    rest = [cause for cause in found if cause not in pressing]
    ways = [_list_cause_suspects(cause) for cause in pressing]
    if not any(cause.name == "shared-state" for cause in pressing):
        ways.append(["shared-state"])
    return [way for each in [*ways, *map(_list_cause_suspects, rest)] for way in each]


def _list_cause_suspects(cause: Cause) -> list[str]:
    return [f"{cause.name}:{way}" if way else cause.name for way in cause.variants]


@contextmanager
def suspend(suspects: Sequence[str], seed: int) -> Iterator[None]:
    """None of *suspects* can make runs differ, for a run.

    Args:
        suspects: As :func:`rank_suspects` gives them.
        seed: Of the run.
    """
    with ExitStack() as stack:
        for each in suspects:
            name, _, way = each.partition(":")
            stack.enter_context(get_cause(name).suspend(seed, way) if way else get_cause(name).suspend(seed))  # type: ignore[call-arg]
        yield


def build_finding(suspects: Sequence[str], evidence: Evidence, note: str = "") -> Finding:
    """The finding that *suspects* made the difference, all of them where there are several."""
    first, *others = suspects
    name, _, way = first.partition(":")
    found = get_cause(name).build_finding(evidence, way, note)
    if not others:
        return found
    also = [
        get_cause(get_cause_name(each)).build_finding(evidence, each.partition(":")[2]) for each in others
    ]
    told = "; and ".join(f"{each.name}{f' at {each.location}' if each.location else ''}" for each in also)
    fixes = "; ".join(each.fix for each in also if each.fix)
    return replace(
        found,
        explanation=f"{found.explanation}; it takes several to be held until all are equal: also {told}",
        fix=f"{found.fix}; {fixes}" if fixes else found.fix,
    )


def build_unknown_finding(reason: str, evidence: Evidence | None = None) -> Finding:
    """The finding that no cause could be established, and why."""
    return get_cause("unknown").build_finding(evidence or Evidence(), "", reason)


def get_axis_cause_name(axis: str) -> str:
    """The cause word of an axis: its own name, but for those that stand for a cause."""
    return {"order": "file-order", "memory": "uninitialised-memory"}.get(axis, axis)
