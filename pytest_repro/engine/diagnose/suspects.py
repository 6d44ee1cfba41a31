"""Who is suspected, in which order; how suspects are suspended; and what is said of those that did it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from pytest_repro.causes import Cause, named, names
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Finding


def word(way: str) -> str:
    """The cause word of a way to suspend it: ``"nondeterministic-op:threads"``."""
    return way.partition(":")[0]


def held(way: str) -> str:
    """What suspending it is called."""
    cause = named(word(way))
    return cause.held.get(way.partition(":")[2], f"{cause.name} held")


def suspects(evidence: Evidence) -> list[str]:
    """What can have made runs of one process differ, in the order in which it is suspended.

    First what speaks for itself: calls that were heard, an op that gave another output for equal
    inputs; then what the last run left behind; then the rest.
    """
    found = [cause for cause in map(named, names()) if cause.suspects(evidence)]
    pressing = [cause for cause in found if cause.presses(evidence)]
    pressing.sort(key=lambda cause: cause.name != "nondeterministic-op")
    rest = [cause for cause in found if cause not in pressing]
    ways = [_ways(cause) for cause in pressing]
    if not any(cause.name == "shared-state" for cause in pressing):
        ways.append(["shared-state"])
    return [way for each in [*ways, *map(_ways, rest)] for way in each]


def _ways(cause: Cause) -> list[str]:
    return [f"{cause.name}:{way}" if way else cause.name for way in cause.ways]


@contextmanager
def suspension(ways: Sequence[str], seed: int) -> Iterator[None]:
    """None of *ways* can make runs differ, for a run.

    Args:
        ways: As :func:`suspects` gives them.
        seed: Of the run.
    """
    with ExitStack() as stack:
        for each in ways:
            name, _, way = each.partition(":")
            stack.enter_context(named(name).suspended(seed, way) if way else named(name).suspended(seed))  # type: ignore[call-arg]
        yield


def established(ways: Sequence[str], evidence: Evidence, beside: str = "") -> Finding:
    """The finding that *ways* made the difference, all of them where there are several."""
    first, *others = ways
    name, _, way = first.partition(":")
    found = named(name).found(evidence, way, beside)
    if not others:
        return found
    also = [named(word(each)).found(evidence, each.partition(":")[2]) for each in others]
    told = "; and ".join(f"{each.name}{f' at {each.location}' if each.location else ''}" for each in also)
    fixes = "; ".join(each.fix for each in also if each.fix)
    return replace(
        found,
        explanation=f"{found.explanation}; it takes several to be held until all are equal: also {told}",
        fix=f"{found.fix}; {fixes}" if fixes else found.fix,
    )


def not_found(why: str, evidence: Evidence | None = None) -> Finding:
    """The finding that no cause could be established, and why."""
    return named("unknown").found(evidence or Evidence(), "", why)


def of_axis(name: str) -> str:
    """The cause word of an axis: its own name, but for those that stand for a cause."""
    return {"order": "file-order", "memory": "uninitialised-memory"}.get(name, name)
