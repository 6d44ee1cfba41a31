"""Floor 7: what can make runs differ, one file per cause word.

A file is named as the word, with ``_`` for ``-``, and holds one object, ``cause``. Other
distributions add theirs as entry points of the group ``pytest_repro.causes``. A cause knows which
calls are evidence for it, how it is suspended for a block, and what is said when it was it. It is
established by suspending it: without it, the runs are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, NamedTuple

from pytest_repro.adapters import awake
from pytest_repro.core.call import Call
from pytest_repro.core.catalogue import catalogue, load
from pytest_repro.core.divergence import Divergence
from pytest_repro.core.finding import Change, Finding
from pytest_repro.ledger.target import Reach, Target, When, targets


class Row(NamedTuple):
    """A function whose calls are evidence, and what is said of a call.

    Attributes:
        where: Its home and name there: ``"random:Random.__init__"``.
        says: What such a call does, as it continues the call's name: ``"reads the clock"``.
        fix: What to do instead.
        what: How it is called; ``""``: by its home and name.
        when: Tells by the arguments whether a call counts.
        reach: Whose calls count, as in :class:`~pytest_repro.ledger.target.Target`.
        names: For a hook: the functions that run into it; *what* then holds ``{}``.
    """

    where: str
    says: str
    fix: str
    what: str = ""
    when: When | None = None
    reach: Reach = "library"
    names: frozenset[str] = frozenset()

    @property
    def called(self) -> str:
        """How it is called when something is said of it: ``time.time()``."""
        return self.what or f"{self.where.replace(':', '.')}()"

    def tells(self, what: str) -> bool:
        """Whether this row is about calls that are called *what*."""
        return what == self.called or what in {
            self.called.format(name.removesuffix("()")) for name in (*self.names, "*")
        }


class Explanation(NamedTuple):
    """What is said of a cause.

    Attributes:
        location: Where it sits, ``"/abs/file.py:12"``; ``""`` where no call was heard.
        explanation: What happens there, one sentence without a full stop.
        fix: What to change, likewise.
    """

    location: str
    explanation: str
    fix: str


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
    """One thing that can make runs differ. Every method may be left as it is."""

    #: Whether it cannot be suspended in this process: other runs, or other interpreters, tell.
    elsewhere: ClassVar[bool] = False
    #: In which ways it is suspended, apart from each other; ``""`` is the only one.
    ways: ClassVar[tuple[str, ...]] = ("",)
    #: What suspending it is called, by way: "one thread".
    held: ClassVar[Mapping[str, str]] = {}
    #: What is listened to, and what is said of it.
    rows: ClassVar[Sequence[Row]] = ()
    #: What is said, and what to do, where no call was heard.
    says: ClassVar[str] = ""
    fix: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The cause word: the name of its file, with dashes."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def targets(self) -> Iterator[Target]:
        """The calls that are evidence for it, of the libraries imported so far."""
        for row in self.rows:
            yield from targets(row.where, row.called, self.name, row.when, row.reach, row.names)

    def suspended(self, seed: int) -> AbstractContextManager[None]:
        """Keeps it from making runs differ, for a block; each block with *seed* is like any other.

        Args:
            seed: What would come from outside comes from this number, 0 … 2**32 - 1.
        """
        return nullcontext()

    def suspects(self, evidence: Evidence) -> bool:
        """Whether it can be what made runs of one process differ."""
        return not self.elsewhere and type(self).suspended is not Cause.suspended

    def presses(self, evidence: Evidence) -> bool:
        """Whether something speaks for it: it is tried before those for which nothing does."""
        return bool(evidence.of(self.name))

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        """What is told once it is established.

        Args:
            evidence: What was known before.
            way: In which way it was suspended.
            beside: Words of the one who established it.
        """
        return Finding(self.name, *self.explained(evidence.calls))

    def explained(self, calls: Sequence[Call]) -> Explanation:
        """What is said when this was it.

        Args:
            calls: What was heard; those that are evidence for other causes are passed over. Of
                several, one that the user's own line makes comes before one made by a library.
        """
        mine = sorted((call for call in calls if call.cause == self.name), key=lambda call: call.via != "")
        if not mine:
            return Explanation("", self.says, self.fix)
        call = mine[0]
        row = next((row for row in self.rows if row.tells(call.what)), None)
        says, fix = (row.says, row.fix) if row is not None else (self.says, self.fix)
        return Explanation(call.location, f"{_asked(call)} {says}{_more(len(mine) - 1)}", fix)


def _asked(call: Call) -> str:
    return f"{call.what}, called by {call.via}," if call.via else call.what


def _more(number: int) -> str:
    return f" (and {number} other call{'s' * (number > 1)} like it)" if number else ""


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
    """The cause of that name, a cause word.

    Raises:
        KeyError: There is none.
    """
    found = load(__name__, name.replace("-", "_")).cause
    assert isinstance(found, Cause)
    return found


def names() -> Sequence[str]:
    """The words of all causes in the catalogue."""
    return [name.replace("_", "-") for name in catalogue(__name__)]


def word(way: str) -> str:
    """The cause word of a way to suspend it: ``"nondeterministic-op:threads"``."""
    return way.partition(":")[0]


def held(way: str) -> str:
    """What suspending it is called."""
    cause = named(word(way))
    return cause.held.get(way.partition(":")[2], f"{cause.name} held")


def all_targets() -> list[Target]:
    """The calls that are evidence for any cause."""
    awake()  # numpy imports numpy.random when it is first asked for, and its adapter asks
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
