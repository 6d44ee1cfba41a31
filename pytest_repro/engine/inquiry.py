"""Looks for the cause of a mismatch: makes it happen again, then suspends one suspect at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pytest_repro.core.cell import REPEAT, Cell
from pytest_repro.core.divergence import Divergence, first_divergence
from pytest_repro.core.evidence import Evidence
from pytest_repro.core.experiment import Experiment, Tried
from pytest_repro.core.finding import Finding
from pytest_repro.core.mismatch import Mismatch
from pytest_repro.core.verdict import Verdict
from pytest_repro.engine.between import between
from pytest_repro.engine.placed import BY_LINES, late, with_line, with_op
from pytest_repro.engine.subject import Bench, Spent, Subject, Tell, Untried, runs_needed
from pytest_repro.engine.suspects import established, held, not_found, suspects, word
from pytest_repro.engine.unfound import gone, no_suspect, too_seldom

SHARED = "shared-state"
_GROWTH = (4, 4, 16, 64)
"""Runs that are made to see a difference again: races do not show on every try."""


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
        self._needed = self._wanted = 2
        self._divergence: Divergence | None = None
        self._ended: set[str] = set()

    def answer(self) -> Answer:
        """What made them differ."""
        try:
            finding = self._placed(self._found())
        except Untried as why:
            finding = not_found(f"it could not be established: {why}")
        innocent = tuple(name for name in self._ruled_out if name != finding.name)
        return Answer(self._divergence, replace(finding, ruled_out=innocent))

    def _cells(self, runs: int) -> tuple[Cell, ...]:
        return tuple(Cell(REPEAT, number, self._setting) for number in range(runs))

    def _found(self) -> Finding:
        first = self._bench.try_(
            Experiment(self._cells(2), traced=True, heard=True, watched=True), "run again, its ops recorded"
        )
        differing, runs = self._again(first)
        if not differing:
            return not_found(gone(runs, self._bench.fresh))
        traced = first if first.differing else self._traced_again(differing, runs)
        self._divergence = first_divergence(*traced.traces) if len(traced.traces) == 2 else None
        self._evidence = Evidence(first.calls, self._divergence, first.changed, differing, runs)
        self._needed = self._bench.affordable(self._wanted)
        if self._needed < self._wanted:
            return not_found(too_seldom(self._evidence, self._wanted, self._needed))
        return self._single() or self._several() or not_found(no_suspect(self._evidence))

    def _placed(self, finding: Finding) -> Finding:
        """*finding* with the line at which the runs first parted, where no op and no call tells it."""
        if finding.name in BY_LINES and late(self._divergence):
            with suppress(Untried):
                # What is held because it was not it does not draw the eye to its own lines.
                held = tuple(way for way in self._innocent if word(way) in self._ruled_out)
                asked = Experiment(self._cells(self._needed), held, lined=True)
                finding = with_line(finding, self._bench.try_(asked, "run again, line by line").steps)
        return with_op(finding, self._divergence)

    def _again(self, first: Tried) -> tuple[int, int]:
        """How many of how many more runs differ from the first; tries harder until one does."""
        tried = [first]
        for turn, number in enumerate(_GROWTH):
            differing, runs = (sum(each) for each in zip(*map(_counts, tried)))
            # All differ also from a first run that is the rare one itself: three first runs are asked.
            # Of what differs now and then it must be known how often.
            if turn >= 2 if differing == runs else differing and runs >= 16:
                break
            asked = Experiment(self._cells(self._bench.affordable(number + 1)))
            tried.append(self._bench.try_(asked, "run again, to see how often it differs"))
        for each in tried:
            self._ended.update(each.ended)
        differing, runs = (sum(each) for each in zip(*map(_counts, tried)))
        self._wanted = runs_needed(*_odd(tried)) if differing else 2
        return differing, runs

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
            if name not in self._ruled_out:
                self._ruled_out.append(name)
        return None

    def _without(self, way: str) -> Finding | None:
        if way == SHARED:
            return self._fresh()
        return established((way,), self._evidence) if self._equal_without((way,)) else None

    def _equal_without(self, ways: Sequence[str]) -> bool:
        doing = ", ".join(held(way) for way in ways)
        return self._same(self._bench.try_(Experiment(self._cells(self._needed), tuple(ways)), doing))

    def _same(self, tried: Tried) -> bool:
        """Whether runs are equal, and do what they do by themselves.

        Where what is held makes all of them fail, they are equal and say nothing.
        """
        return tried.equal and self._ended.issuperset(tried.ended)

    def _fresh(self, ways: Sequence[str] = ()) -> Finding | None:
        """Runs that each begin in a process that has not computed yet, and so meet nothing left behind."""
        if not self._bench.fresh:
            return None
        asked = Experiment(self._cells(self._needed), tuple(ways), apart=True)
        apart = self._bench.try_(asked, "each run in a fresh process")
        if not self._same(apart):
            return None
        # A rare difference would have shown among the runs apart: one stirred run is enough.
        asked = Experiment(self._cells(1), tuple(ways), stirred=True)
        stirred = self._bench.try_(asked, "memory laid out in another way")
        name = SHARED if stirred.shown == apart.shown else "address-order"
        laid = "with the same addresses runs were equal, with memory laid out in another way they were not"
        return established((name, *ways), self._evidence, "" if name == SHARED else laid)

    def _several(self) -> Finding | None:
        """The suspects without which, taken together, the runs are equal; as few as suffice."""
        ways = [way for way in suspects(self._evidence) if way != SHARED]
        if self._equal_without(ways):
            ways = self._fewest(ways, self._equal_without)
            found: Finding | None = established(tuple(ways), self._evidence)
        elif (found := self._fresh(ways)) is not None:
            ways = self._fewest(ways, lambda rest: self._fresh(rest) is not None)
            found = self._fresh(ways)
        if found is None:
            return None
        named = {found.name, *map(word, ways)}
        self._ruled_out = [name for name in self._ruled_out if name not in named]
        return found

    def _fewest(self, ways: list[str], equal: Callable[[list[str]], bool]) -> list[str]:
        """As few of *ways* as suffice, those that come last left out first."""
        for way in list(reversed(ways)):
            rest = [each for each in ways if each != way]
            if rest and equal(rest):
                ways = rest
        return ways


def _counts(tried: Tried) -> tuple[int, int]:
    """How many runs differ from the first, and of how many."""
    return len(tried.differing), tried.runs - 1


def _odd(tried: Sequence[Tried]) -> tuple[int, int]:
    """How many runs stand out, and of how many, the first ones counted.

    Where some but not all differ from the first, the first may be the one that stands out.
    """
    counts = [_counts(each) for each in tried]
    if all(differing == runs for differing, runs in counts):
        return sum(runs for _, runs in counts), sum(runs for _, runs in counts)
    return sum(min(d, runs + 1 - d) for d, runs in counts), sum(runs + 1 for _, runs in counts)
