"""Looks for the cause of a mismatch: makes it happen again, then suspends one suspect at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.experiment import Experiment, Tried
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose.axis_difference import between
from pytest_repro.engine.diagnose.budgeted_experiments import (
    Bench,
    Spent,
    Subject,
    Tell,
    Untried,
    runs_needed,
)
from pytest_repro.engine.diagnose.locate import BY_LINES, late, with_line, with_op
from pytest_repro.engine.diagnose.minimize import (
    SHARED,
    fewest,
    first_to_part,
    telling_calls,
    telling_changes,
)
from pytest_repro.engine.diagnose.no_cause_found import (
    LAID,
    NOT_FRESH,
    gone,
    left_unseen,
    no_suspect,
    too_seldom,
    unheld,
    with_loose,
)
from pytest_repro.engine.diagnose.repeat_until_differs import how_often
from pytest_repro.engine.diagnose.suspects import established, held, not_found, suspects, word

ADDRESSES = "address-order"
LAID_OUT = "address-order:laid out"
"""The way in which orders by address are found that cannot be held: memory is laid out in another way."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an inquiry has found."""

    divergence: Divergence | None
    finding: Finding


def inquire(subject: Subject, verdict: Verdict, seconds: float, tell: Tell) -> Answer:
    """The first op that parted, and the cause, of a verdict that is ``diverged``.

    Args:
        subject: What the verdict is about.
        verdict: Is not changed.
        seconds: The time for it.
        tell: Shows what is being done.
    """
    try:
        return _answer(subject, verdict, seconds, tell)
    except Exception as error:  # ours: it must not hide what the test has shown
        return Answer(None, not_found(f"the inquiry itself broke: {type(error).__name__}: {error}"))


def _answer(subject: Subject, verdict: Verdict, seconds: float, tell: Tell) -> Answer:
    bench = Bench(subject, seconds, max(run.seconds for run in verdict.runs), tell)
    first = _first(verdict)
    if first.axis != REPEAT:
        return Answer(*between(bench, first.axis, first.value, verdict.runs[0].setting))
    setting = next(
        r.setting for r in verdict.runs if (r.axis, r.value, r.at) == (first.axis, first.value, first.at)
    )
    inquiry = Repeated(bench, setting)
    return inquiry.answer()


def _first(verdict: Verdict) -> Mismatch:
    """The mismatch to explain: what does not repeat itself comes before what differs between values."""
    found = verdict.mismatches
    return next((each for each in found if each.axis == REPEAT), found[0])


class Repeated:
    """Why equal runs of one process differ.

    Args:
        bench: Makes the experiments.
        setting: Axis → value, of each run.
    """

    def __init__(self, bench: Bench, setting: Mapping[str, object]) -> None:
        self._bench, self._setting = bench, setting
        self._ruled_out: list[str] = []
        self._innocent: list[str] = []
        self._needed = 2
        self._divergence: Divergence | None = None
        self._ended: frozenset[str] = frozenset()
        self._unseen = ""
        self._evidence = Evidence()
        self._loose: dict[str, str] = {} if bench.fresh else dict.fromkeys((SHARED, ADDRESSES), NOT_FRESH)

    def answer(self) -> Answer:
        """What made them differ."""
        try:
            finding = self._placed(self._found())
        except Untried as why:
            finding = self._not_found(f"it could not be established: {why}")
        loose = {finding.name, *unheld(self._evidence, self._loose)}
        innocent = tuple(name for name in self._ruled_out if name not in loose)
        return Answer(self._divergence, replace(finding, ruled_out=innocent))

    def _not_found(self, why: str) -> Finding:
        tried = {name: said for name, said in self._loose.items() if name in self._ruled_out}
        return not_found(with_loose(why, tried), replace(self._evidence, divergence=None))

    def _cells(self, runs: int) -> tuple[Cell, ...]:
        return tuple(Cell(REPEAT, number, self._setting) for number in range(runs))

    def _found(self) -> Finding:
        first = self._bench.try_(
            Experiment(self._cells(2), traced=True, heard=True, watched=True), "run again, its ops recorded"
        )
        differing, runs, wanted, self._ended = how_often(first, self._more)
        if not differing:
            return not_found(gone(runs, self._bench.fresh))
        traced = first if first.differing else self._traced_again(differing, runs)
        self._divergence = traced.parted
        self._evidence = Evidence(first.calls, self._divergence, first.changed, differing, runs)
        self._needed = self._bench.affordable(wanted)
        if self._needed < wanted:
            return not_found(too_seldom(self._evidence, wanted, self._needed))
        found = self._single() or self._several()
        return found or self._not_found(self._unseen or no_suspect(self._evidence))

    def _placed(self, finding: Finding) -> Finding:
        """*finding* with the line at which the runs first parted, where no op and no call tells it."""
        if finding.name in BY_LINES and late(self._divergence):
            with suppress(Untried):
                # What is held because it was not it does not draw the eye to its own lines.
                held = tuple(way for way in self._innocent if word(way) in self._ruled_out)
                asked = Experiment(self._cells(self._needed), held, lined=True)
                finding = with_line(finding, self._bench.try_(asked, "run again, line by line").steps)
        return with_op(finding, self._divergence)

    def _more(self, number: int) -> Tried:
        asked = Experiment(self._cells(self._bench.affordable(number)))
        return self._bench.try_(asked, "run again, to see how often it differs")

    def _traced_again(self, differing: int, runs: int) -> Tried:
        """The traces of two runs that differ, where that is rare."""
        number = self._bench.affordable(2 * runs_needed(differing, runs))
        asked = Experiment(self._cells(number), traced=True)
        tried = self._bench.try_(asked, "run again, its ops recorded, until it differs")
        return tried if tried.differing else replace(tried, traces=())

    def _single(self) -> Finding | None:
        """The one suspect without which the runs are equal."""
        for way in suspects(self._evidence):
            try:
                finding = self._without(way)
            except Spent:
                raise
            except Untried:  # held, it makes the test hang or die: that says nothing of the others
                continue
            if finding is not None:
                return finding
            name = word(way)
            self._innocent += [way] * (way != SHARED)
            if name not in self._ruled_out and not (way == SHARED and self._unseen):
                self._ruled_out.append(name)
        return None

    def _without(self, way: str) -> Finding | None:
        if way == SHARED:
            found = self._fresh()
            return self._named([found]) if found else None
        return self._named([way]) if self._equal_without((way,)) else None

    def _equal_without(self, ways: Sequence[str]) -> bool:
        doing = ", ".join(held(way) for way in ways)
        return self._same(self._bench.try_(Experiment(self._cells(self._needed), tuple(ways)), doing))

    def _same(self, tried: Tried) -> bool:
        """Whether runs are equal, and do what they do by themselves.

        Where what is held makes all of them fail, they are equal and say nothing.
        """
        self._loose.update(tried.loose)
        return tried.equal and self._ended.issuperset(tried.ended)

    def _fresh(self, ways: Sequence[str] = ()) -> str:
        """What it is that runs do not meet that each begin in a process that has not computed yet."""
        if not self._bench.fresh:
            return ""
        asked = Experiment(self._cells(self._needed), tuple(ways), apart=True)
        apart = self._bench.try_(asked, "each run in a fresh process")
        if not self._same(apart):
            return ""
        # A rare difference would have shown among the runs apart: one stirred run is enough.
        # All three are forks of one moment: between experiments addresses may change.
        asked = asked._replace(cells=self._cells(3), stirred=True)
        laid = self._bench.try_(
            asked, "each in a fresh process, memory of the second laid out in another way"
        )
        if laid.differing == (1,):
            return LAID_OUT
        seen = self._evidence.changed or self._evidence.of(SHARED)
        if seen and laid.equal and laid.shown == apart.shown:
            return SHARED
        self._unseen = left_unseen()
        return ""

    def _several(self) -> Finding | None:
        """The suspects without which, taken together, the runs are equal; as few as suffice."""
        ways = [way for way in suspects(self._evidence) if way != SHARED]
        if self._equal_without(ways):
            return self._named(fewest(ways, self._equal_without))
        if not self._fresh(ways):
            return None
        ways = fewest(ways, lambda rest: self._fresh(rest) != "")
        found = self._fresh(ways)
        return self._named([found, *ways]) if found else None

    def _named(self, ways: list[str]) -> Finding | None:
        """The finding that *ways* made the difference, by those of their calls and changes that did."""
        held = tuple(way for way in ways if way not in (SHARED, LAID_OUT))
        asked = Experiment(self._cells(self._needed), held)
        found = self._evidence
        if SHARED in ways and found.changed:
            told = telling_changes(found, asked, self._bench.try_)
            if told is None and not found.of(SHARED):
                self._unseen = left_unseen(found.changed)
                return None
            found = told or replace(found, changed=())
        apart = asked._replace(apart=len(held) < len(ways))
        found = telling_calls(found, held, apart, self._bench.try_)
        if len(ways) > 1:
            ways = first_to_part(ways, self._divergence, self._parted)
            self._ruled_out = [name for name in self._ruled_out if name not in map(word, ways)]
        return established(
            [ADDRESSES if way == LAID_OUT else way for way in ways], found, LAID * (LAID_OUT in ways)
        )

    def _parted(self, ways: Sequence[str]) -> Divergence | None:
        """Where runs first part that differ although *ways* are held."""
        asked = Experiment(self._cells(self._needed), tuple(ways), traced=True)
        return self._bench.try_(asked, "its ops recorded, all but one held").parted
