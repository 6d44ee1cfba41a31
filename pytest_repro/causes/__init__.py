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

from pytest_repro.adapters import active_adapters
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.interpose.target import Condition, Reach, Target, find_targets


class WatchedFunction(NamedTuple):
    """A function whose calls are evidence, and what is said of a call.

    Attributes:
        function: Its home and name there: ``"random:Random.__init__"``.
        effect: What such a call does, as it continues the call's name: ``"reads the clock"``.
        fix: What to do instead.
        label: How it is called; ``""``: by its home and name.
        when: Tells by the arguments whether a call counts.
        reach: Whose calls count, as in :class:`~pytest_repro.interpose.target.Target`.
        names: For a hook: the functions that run into it; *label* then holds ``{}``.
        suspendable: Whether the cause, suspended, keeps such a call from making runs differ.
    """

    function: str
    effect: str
    fix: str
    label: str = ""
    when: Condition | None = None
    reach: Reach = "library"
    names: frozenset[str] = frozenset()
    suspendable: bool = True

    @property
    def display_name(self) -> str:
        """How it is called when something is said of it: ``time.time()``."""
        return self.label or f"{self.function.replace(':', '.')}()"

    def matches(self, label: str) -> bool:
        """Whether this row is about calls that are called *label*."""
        return label == self.display_name or label in {
            self.display_name.format(name.removesuffix("()")) for name in (*self.names, "*")
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
    needs_fresh_process: ClassVar[bool] = False
    #: In which ways it is suspended, apart from each other; ``""`` is the only one.
    variants: ClassVar[tuple[str, ...]] = ("",)
    #: What suspending it is called, by way: "one thread".
    suspension_names: ClassVar[Mapping[str, str]] = {}
    #: What is listened to, and what is said of it.
    watched_functions: ClassVar[Sequence[WatchedFunction]] = ()
    #: What is said, and what to do, where no call was heard.
    explanation: ClassVar[str] = ""
    fix: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The cause word: the name of its file, with dashes."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def find_targets(self) -> Iterator[Target]:
        """The calls that are evidence for it, of the libraries imported so far."""
        for row in self.watched_functions:
            yield from find_targets(row.function, row.display_name, self.name, row.when, row.reach, row.names)

    def suspend(self, seed: int) -> AbstractContextManager[None]:
        """Keeps it from making runs differ, for a block; each block with *seed* is like any other.

        Args:
            seed: What would come from outside comes from this number, 0 … 2**32 - 1.
        """
        return nullcontext()

    def is_candidate(self, evidence: Evidence) -> bool:
        """Whether it can be what made runs of one process differ."""
        return not self.needs_fresh_process and type(self).suspend is not Cause.suspend

    def has_evidence(self, evidence: Evidence) -> bool:
        """Whether something speaks for it: it is tried before those for which nothing does."""
        return bool(evidence.calls_for(self.name))

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        """What is told once it is established.

        Args:
            evidence: What was known before.
            variant: In which way it was suspended.
            detail: Words of the one who established it.
        """
        return Finding(self.name, *self.explain(evidence.calls))

    def explain(self, calls: Sequence[ExternalCall]) -> Explanation:
        """What is said when this was it.

        Args:
            calls: What was heard; those that are evidence for other causes are passed over. Of
                several, one that the user's own line makes comes before one made by a library.
        """
        loose = self.find_not_suspendable(calls)
        heard = (call for call in calls if call.cause == self.name)
        mine = sorted(heard, key=lambda call: (call in loose, call.via != ""))
        if not mine:
            return Explanation("", self.explanation, self.fix)
        call = mine[0]
        like = dict.fromkeys(each.location for each in mine if bool(each.via) == bool(call.via))
        others = [each for each in like if each != call.location]
        row = self.find_watched_function(call)
        says, fix = (row.effect, row.fix) if row is not None else (self.explanation, self.fix)
        return Explanation(call.location, f"{format_call(call)} {says}{_format_more_locations(others)}", fix)

    def find_watched_function(self, call: ExternalCall) -> WatchedFunction | None:
        """The row that is about *call*."""
        return next((row for row in self.watched_functions if row.matches(call.display_name)), None)

    def find_not_suspendable(self, calls: Sequence[ExternalCall]) -> list[ExternalCall]:
        """Of *calls* those that are evidence for it, and go on to make runs differ when it is suspended."""
        mine = (call for call in calls if call.cause == self.name)
        return [
            call
            for call in mine
            if (row := self.find_watched_function(call)) is not None and not row.suspendable
        ]


def format_call(call: ExternalCall) -> str:
    """What was called, and by whom where that was no line of the user's."""
    return f"{call.display_name}, called by {call.via}," if call.via else call.display_name


_MAX_LISTED = 3


def _format_more_locations(locations: Sequence[str]) -> str:
    """Where the other calls are: any of them may be the one that made the difference."""
    if not locations:
        return ""
    more = f" and {len(locations) - _MAX_LISTED} more" if len(locations) > _MAX_LISTED else ""
    return f" (so do calls at {', '.join(locations[:_MAX_LISTED])}{more})"


class AxisCause(Cause):
    """An axis that is its own cause.

    Attributes:
        explanation_template: What it does; ``{beside}`` are the two sides.
        fix: What to change.
    """

    explanation_template: ClassVar[str] = ""
    fix: ClassVar[str] = ""

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        op = evidence.divergence
        where = (op.forward_location or op.location) if op is not None else ""
        return Finding(self.name, where, self.explanation_template.format(beside=detail), self.fix)


@cache
def get_cause(name: str) -> Cause:
    """The cause of that name, a cause word.

    Raises:
        KeyError: There is none.
    """
    found = load_plugin(__name__, name.replace("-", "_")).cause
    assert isinstance(found, Cause)
    return found


def list_cause_names() -> Sequence[str]:
    """The words of all causes in the catalogue."""
    return [name.replace("_", "-") for name in find_plugins(__name__)]


def find_all_targets() -> list[Target]:
    """The calls that are evidence for any cause."""
    active_adapters()  # numpy imports numpy.random when it is first asked for, and its adapter asks
    return [target for name in list_cause_names() for target in get_cause(name).find_targets()]
