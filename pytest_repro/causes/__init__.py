"""Floor 7: what can make runs differ, one file per cause word.

A file is named as the word, with ``_`` for ``-``, and holds one object, ``cause``. Other
distributions add theirs as entry points of the group ``pytest_repro.causes``. A cause knows which
calls are evidence for it, how it is suspended for a block, and what is said when it was it. It is
established by suspending it: without it, the runs are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import ClassVar, NamedTuple

from pytest_repro.adapters import awake
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.external_call import Call
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.plugins import catalogue, load
from pytest_repro.interpose.target import Reach, Target, When, targets


class Row(NamedTuple):
    """A function whose calls are evidence, and what is said of a call.

    Attributes:
        where: Its home and name there: ``"random:Random.__init__"``.
        says: What such a call does, as it continues the call's name: ``"reads the clock"``.
        fix: What to do instead.
        what: How it is called; ``""``: by its home and name.
        when: Tells by the arguments whether a call counts.
        reach: Whose calls count, as in :class:`~pytest_repro.interpose.target.Target`.
        names: For a hook: the functions that run into it; *what* then holds ``{}``.
        held: Whether the cause, suspended, keeps such a call from making runs differ.
    """

    where: str
    says: str
    fix: str
    what: str = ""
    when: When | None = None
    reach: Reach = "library"
    names: frozenset[str] = frozenset()
    held: bool = True

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
        loose = self.loose(calls)
        heard = (call for call in calls if call.cause == self.name)
        mine = sorted(heard, key=lambda call: (call in loose, call.via != ""))
        if not mine:
            return Explanation("", self.says, self.fix)
        call = mine[0]
        like = dict.fromkeys(each.location for each in mine if bool(each.via) == bool(call.via))
        others = [each for each in like if each != call.location]
        row = self.row(call)
        says, fix = (row.says, row.fix) if row is not None else (self.says, self.fix)
        return Explanation(call.location, f"{asked(call)} {says}{_more(others)}", fix)

    def row(self, call: Call) -> Row | None:
        """The row that is about *call*."""
        return next((row for row in self.rows if row.tells(call.what)), None)

    def loose(self, calls: Sequence[Call]) -> list[Call]:
        """Of *calls* those that are evidence for it, and go on to make runs differ when it is suspended."""
        mine = (call for call in calls if call.cause == self.name)
        return [call for call in mine if (row := self.row(call)) is not None and not row.held]


def asked(call: Call) -> str:
    """What was called, and by whom where that was no line of the user's."""
    return f"{call.what}, called by {call.via}," if call.via else call.what


_LISTED = 3


def _more(locations: Sequence[str]) -> str:
    """Where the other calls are: any of them may be the one that made the difference."""
    if not locations:
        return ""
    more = f" and {len(locations) - _LISTED} more" if len(locations) > _LISTED else ""
    return f" (so do calls at {', '.join(locations[:_LISTED])}{more})"


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


def all_targets() -> list[Target]:
    """The calls that are evidence for any cause."""
    awake()  # numpy imports numpy.random when it is first asked for, and its adapter asks
    return [target for name in names() for target in named(name).targets()]
