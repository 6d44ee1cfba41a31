"""Floor 5: what can make runs differ, one file per cause word: how to rule it out, how to say it, how to fix it.

A file is named as the word, with ``_`` for ``-``, and holds one object, ``cause``. Other
distributions add theirs as entry points of the group ``pytest_repro.causes``. A cause is
established by suspending it: without it, the runs are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

from pytest_repro.core.call import Call
from pytest_repro.core.catalogue import catalogue, load
from pytest_repro.core.divergence import Divergence
from pytest_repro.core.finding import Change, Finding
from pytest_repro.ledger import Target


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known before anything is suspended.

    Attributes:
        calls: Calls of the outside world that were heard.
        divergence: The first op that parted.
        changed: What the first run left behind for the second.
        differing: How many runs differed from the first.
        runs: Of how many, the first not counted.
    """

    calls: tuple[Call, ...] = ()
    divergence: Divergence | None = None
    changed: tuple[Change, ...] = ()
    differing: int = 0
    runs: int = 0

    def of(self, name: str) -> tuple[Call, ...]:
        """The calls that are evidence for the cause *name*."""
        return tuple(call for call in self.calls if call.cause == name)

    @property
    def often(self) -> str:
        """How often runs differed, in words."""
        return f"{self.differing} of {self.runs} runs differed from the first"


class Cause:
    """One cause word. Every method may be left as it is."""

    #: In which ways it is suspended, apart from each other; ``""`` is the only one.
    ways: ClassVar[tuple[str, ...]] = ("",)
    #: Whether it is suspended only by fresh processes, not within one.
    elsewhere: ClassVar[bool] = False
    #: What suspending it is called, by way: "the clock frozen".
    said: ClassVar[dict[str, str]] = {}

    @property
    def name(self) -> str:
        """The cause word."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def targets(self) -> Iterable[Target]:
        """Calls that are evidence for it, of the libraries imported so far."""
        return ()

    def suspects(self, evidence: Evidence) -> bool:
        """Whether it can be what made runs of one process differ."""
        return not self.elsewhere and type(self).suspended is not Cause.suspended

    def presses(self, evidence: Evidence) -> bool:
        """Whether something speaks for it: it is tried before those for which nothing does."""
        return bool(evidence.of(self.name))

    def suspended(self, seed: int) -> AbstractContextManager[None]:
        """Makes it unable to make runs differ, for a run, and restores what was."""
        return nullcontext()

    def explained(self, calls: Sequence[Call]) -> tuple[str, str, str]:
        """Location, explanation and fix, from the calls that were heard of it."""
        return "", "", ""

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        """What is told once it is established.

        Args:
            evidence: What was known before.
            way: In which way it was suspended.
            beside: Words of the one who established it.
        """
        location, explanation, fix = self.explained(evidence.of(self.name))
        return Finding(self.name, location, explanation, fix)


class OfAxis(Cause):
    """An axis that is its own cause.

    Attributes:
        explains: What it does; ``{beside}`` are the two sides.
        fixes: What to change.
    """

    explains: ClassVar[str] = ""
    fixes: ClassVar[str] = ""

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        op = evidence.divergence
        where = (op.forward_location or op.location) if op is not None else ""
        return Finding(self.name, where, self.explains.format(beside=beside), self.fixes)


@cache
def named(name: str) -> Cause:
    """The cause of that word.

    Raises:
        KeyError: There is none.
    """
    found = load(__name__, name.replace("-", "_")).cause
    assert isinstance(found, Cause)
    return found


def names() -> Sequence[str]:
    """All cause words."""
    return [name.replace("_", "-") for name in catalogue(__name__)]


def word(way: str) -> str:
    """The cause word of a way to suspend it: ``"nondeterministic-op:threads"``."""
    return way.partition(":")[0]


def held(way: str) -> str:
    """What suspending it is called."""
    cause = named(word(way))
    return cause.said.get(way.partition(":")[2], f"{cause.name} held")


def targets() -> list[Target]:
    """Calls that are evidence for any cause."""
    return [target for name in names() for target in named(name).targets()]


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
