"""What can make runs differ, one file per cause word.

The file's name is the word with ``_`` for ``-``; it holds one object, ``cause``. Other
distributions add theirs as entry points of the group ``pytest_repro.causes``. A cause knows which
calls are evidence for it, how to suspend it for a block, and how to explain it. It is established
when runs are equal while it is suspended. An axis whose values differ explains that itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any, ClassVar, NamedTuple

from pytest_repro.adapters import active_adapters
from pytest_repro.core.diagnose import Evidence, ExternalCall, Finding
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.interpose.call_log import Target
from pytest_repro.interpose.call_log import WatchedFunction as WatchedFunction

Entry = tuple[ExternalCall, WatchedFunction]
"""A call, and the function that it calls."""
_MAX_LISTED = 3
_WORKER_NOTE = "in a worker process: see worker_init_fn of the loader, or the initializer of the pool"


def watch_each(module: str, names: str, effect: str, fix: str, **options: Any) -> list[WatchedFunction]:
    """An entry for each function of *module* in *names*, separated by spaces; *options* as its fields."""
    return [WatchedFunction(f"{module}:{name}", effect, fix, **options) for name in names.split()]


class Explanation(NamedTuple):
    """What a report says about a cause.

    Attributes:
        location: ``"/abs/file.py:12"``; ``""`` if no call was logged.
        explanation: What happens there, one sentence without a full stop.
        fix: What to change, likewise.
    """

    location: str
    explanation: str
    fix: str


class Cause:
    """One thing that can make runs differ. Every method has a default."""

    #: The cause word: the name of the file or of the entry point, with dashes.
    name: str

    #: Whether it cannot be suspended in this process: fresh processes or interpreters show it instead.
    needs_fresh_process: ClassVar[bool] = False
    #: Whether neither a call nor an op locates it, only the first line at which runs diverge.
    located_by_line: ClassVar[bool] = False
    #: Whether it also differs with the layout of memory, so that it must be suspended to test the layout.
    depends_on_layout: ClassVar[bool] = False
    #: The variants of suspending it, tried one by one.
    variants: ClassVar[tuple[str, ...]] = ("",)
    #: Variant → what messages call suspending it: "one thread".
    suspension_names: ClassVar[Mapping[str, str]] = {}
    #: The functions whose calls are evidence for it.
    watched_functions: ClassVar[Sequence[WatchedFunction]] = ()
    #: What reports say if no call was logged.
    explanation: ClassVar[str] = ""
    #: What to change if no call was logged.
    fix: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls.name = cls.__module__.rpartition(".")[2].replace("_", "-")

    def find_targets(self, variant: str = "") -> Iterator[Target]:
        """The calls that are evidence for it, of the libraries imported so far; those of *variant* alone."""
        for row in self.watched_functions:
            if self.covers(row, variant) and (attribute := row.find_attribute()) is not None:
                yield Target(row, self.name, *attribute, row.when)

    def covers(self, row: WatchedFunction, variant: str) -> bool:
        """Whether *variant* suspends the calls of *row*."""
        return True

    def choose_variant(self, call: ExternalCall) -> str:
        """The variant that suspends *call* and little else: ``""`` suspends all calls."""
        return ""

    def suspend(self, seed: int, variant: str = "") -> AbstractContextManager[None]:
        """Keeps it from making runs differ, for a block; equal seeds give equal blocks.

        Args:
            seed: Replaces what would come from outside, 0 … 2**32 - 1.
            variant: One of :attr:`variants`.
        """
        return nullcontext()

    def list_variants(self, evidence: Evidence) -> Sequence[str]:
        """The variants of suspending it that *evidence* asks for."""
        return self.variants

    def is_candidate(self, evidence: Evidence) -> bool:
        """Whether it can have made runs of one process differ."""
        return not self.needs_fresh_process and type(self).suspend is not Cause.suspend

    def has_evidence(self, evidence: Evidence) -> bool:
        """Whether *evidence* points to it."""
        return bool(evidence.calls_for(self.name))

    def rank(self, evidence: Evidence) -> int:
        """Where it stands among the suspects: lower ranks are suspended first."""
        return 1 if self.has_evidence(evidence) else 3

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        """The finding that it made runs differ while *variant* was not suspended.

        Args:
            detail: What the experiment adds to the explanation.
        """
        return Finding(self.name, *self.explain(evidence.calls))

    def explain(self, calls: Sequence[ExternalCall]) -> Explanation:
        """Where it is and what to change, by the first of its *calls*.

        Calls in the user's own code come before calls in libraries. Evidence for other causes is ignored.
        """
        entries = self.find_entries(calls)
        entries.sort(key=lambda entry: (not entry[1].suspendable, entry[0].via != ""))
        if not entries:
            return Explanation("", self.explanation, self.fix)
        call, row = entries[0]
        similar = dict.fromkeys(each.location for each, _ in entries if bool(each.via) == bool(call.via))
        others = [location for location in similar if location != call.location]
        explanation = f"{format_call(call)} {row.effect}{_format_more_locations(others)}"
        explanation += f"; {_WORKER_NOTE}" if call.in_worker else ""
        fix = row.repeated_fix.format(count=f"{call.count:,}") if call.count > 1 else ""
        return Explanation(call.location, explanation, fix or row.fix)

    def find_entries(self, calls: Sequence[ExternalCall]) -> list[Entry]:
        """Its own *calls*, each with the entry about it."""
        rows = (*self.watched_functions, WatchedFunction("", self.explanation, self.fix))
        own = [call for call in calls if call.cause == self.name]
        return [(call, next((r for r in rows if r.matches(call.display_name)), rows[-1])) for call in own]

    def find_not_suspendable(self, calls: Sequence[ExternalCall]) -> list[Entry]:
        """The entries of those *calls* that make runs differ even while it is suspended."""
        return [entry for entry in self.find_entries(calls) if not entry[1].suspendable]


def format_call(call: ExternalCall) -> str:
    """The called function, and its caller if that is not the user's code."""
    return f"{call.display_name}, called by {call.via}," if call.via else call.display_name


def _format_more_locations(locations: Sequence[str]) -> str:
    """The locations of the other calls: each of them may have made the difference."""
    if not locations:
        return ""
    more = f" and {len(locations) - _MAX_LISTED} more" if len(locations) > _MAX_LISTED else ""
    return f" (so do calls at {', '.join(locations[:_MAX_LISTED])}{more})"


@cache
def get_cause(name: str) -> Cause:
    """The cause of that word.

    Raises:
        KeyError: There is none.
    """
    cause = load_plugin(__name__, name.replace("-", "_")).cause
    assert isinstance(cause, Cause), f"cause {name!r} is no instance of pytest_repro.causes.Cause"
    cause.name = name
    return cause


def list_cause_names() -> Sequence[str]:
    """The words of all causes."""
    return [name.replace("_", "-") for name in find_plugins(__name__)]


def find_all_targets() -> list[Target]:
    """The calls that are evidence for any cause."""
    active_adapters()  # numpy imports numpy.random lazily, and its adapter needs it
    return [target for name in list_cause_names() for target in get_cause(name).find_targets()]


def find_targets(suspects: Sequence[str]) -> list[Target]:
    """The calls that are evidence for *suspects*, as far as their variants suspend them."""
    active_adapters()
    return [each for cause, variant in map(split_suspect, suspects) for each in cause.find_targets(variant)]


def split_suspect(suspect: str) -> tuple[Cause, str]:
    """The cause and the variant that *suspect* names: ``"nondeterministic-op:threads"``."""
    name, _, variant = suspect.partition(":")
    return get_cause(name), variant


@contextmanager
def suspended(suspects: Sequence[str], seed: int) -> Iterator[None]:
    """Keeps *suspects*, cause words with a variant or without, from making runs differ, for a block."""
    with ExitStack() as stack:
        for cause, variant in map(split_suspect, suspects):
            stack.enter_context(cause.suspend(seed, variant or cause.variants[0]))
        yield


_collectors: list[dict[str, str]] = []


def report_not_suspended(cause: str, reason: str) -> None:
    """Records why *cause* may have made runs differ although it is suspended, without a full stop."""
    for collector in _collectors:
        collector.setdefault(cause, reason)


@contextmanager
def collect_not_suspended() -> Iterator[dict[str, str]]:
    """Cause word → the first reason reported during the block."""
    reasons: dict[str, str] = {}
    _collectors.append(reasons)
    try:
        yield reasons
    finally:
        _collectors[:] = [collector for collector in _collectors if collector is not reasons]
