"""Why runs differ between two values of an axis, each of which repeats itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from pytest_repro.axes import Interpreter, named
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.experiment import Experiment, Tried
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose.budgeted_experiments import Bench, Untried
from pytest_repro.engine.diagnose.locate import late, with_line, with_op
from pytest_repro.engine.diagnose.suspects import established, held, not_found, of_axis, suspects, word

_SAME, _OTHER = "1", "2"
"""Hash seeds of the interpreters that are compared."""

_LAID = (
    "an interpreter with the same hash seed gave something else once its memory was laid out in another way"
)
_BARE = "hash seed 1, nothing imported"
_MORE = ("3", "4", "5")
_SESSION = (
    "fresh interpreters agree, whatever their hash seed and the layout of their memory; only the session's "
    "own gave something else, where other tests had run before: what they left behind could not be seen"
)
_UNWRITTEN = "uninitialised-memory"


def between(
    bench: Bench, axis: str, value: object, setting: Mapping[str, object]
) -> tuple[Divergence | None, Finding]:
    """The first op that parted between the reference of *axis* and *value*, and why.

    Args:
        bench: Makes the experiments.
        axis: What is varied.
        value: The value that differs.
        setting: Axis → value, of the reference.
    """
    inquiry = _Between(bench, axis, value, setting)
    try:
        finding = inquiry.processes() if axis == "process" else inquiry.values()
    except Untried as why:
        finding = not_found(f"it could not be established: {why}")
    return inquiry.divergence, finding


class _Between:
    """The two sides: the reference, and the value that differs."""

    def __init__(self, bench: Bench, axis: str, value: object, setting: Mapping[str, object]) -> None:
        self._bench, self._axis, self._value = bench, named(axis), value
        self._reference = Cell(REPEAT, 0, setting)
        self._cell = Cell(axis, value, {**setting, axis: value})
        self.divergence: Divergence | None = None

    def values(self) -> Finding:
        """Of an axis that is its own cause: what remains is where it began."""
        here = self._tried(self._reference, None)
        elsewhere = self._axis.interpreter(self._value) if self._axis.elsewhere else None
        there = self._tried(self._cell, elsewhere)
        self._compare(here, there)
        name = of_axis(self._axis.name)
        return established((name,), Evidence(here.calls, self.divergence), self._called())

    def _called(self) -> str:
        return self._axis.between(self._reference.setting[self._axis.name], self._value)

    def _tried(self, cell: Cell, interpreter: Interpreter | None, ways: tuple[str, ...] = ()) -> Tried:
        # Where dtypes or devices differ, so do all digests.
        traced = not (self._axis.mixed or self._axis.name == "device")
        asked = Experiment((cell,), ways, traced=traced, heard=True)
        return self._bench.try_(
            asked, f"run with {self._axis.called(cell.setting[self._axis.name])}", interpreter
        )

    def _compare(self, a: Tried, b: Tried) -> None:
        if a.traces and b.traces:
            self.divergence = first_divergence(a.traces[0], b.traces[0])

    def processes(self) -> Finding:
        """Of two interpreters: their hash seeds, their addresses, or anything else of a process."""
        places = ((_SAME, 1), (_SAME, 2), (_OTHER, 1))
        self._bench.prepare([_interpreter(*each) for each in places])
        like, again, other = (self._in(*each) for each in places)
        self._compare(like, other)
        evidence = Evidence(like.calls, self.divergence)
        if not like.equal:
            return self._suspect(evidence, like)
        sides = self._laid_out(evidence, like)
        if sides:
            found = established(("address-order",), evidence, _LAID)
            return self._placed(replace(found, ruled_out=("hash-seed",) * (like.shown == other.shown)), sides)
        if like.shown == again.shown != other.shown:
            sides = [_Side(_interpreter(_SAME, 1)), _Side(_interpreter(_OTHER, 1))]
            found = established(("hash-seed",), evidence)
            return self._placed(replace(found, ruled_out=("address-order",)), sides)
        if like.shown == again.shown:
            return self._session(evidence, like)
        return self._suspect(evidence, like)

    def _laid_out(self, evidence: Evidence, like: Tried) -> list[_Side]:
        """Two sides that differ by how memory is laid out and by nothing else; none where it is no matter.

        What lies where is settled for a run's own objects when it makes them, for classes and
        functions when they are imported.
        """
        # Memory that nobody has written to differs as well when it is laid out in another way.
        ways = (_UNWRITTEN,) * bool(evidence.of(_UNWRITTEN))
        here = _Side(_interpreter(_SAME, 1))
        plain = self._at(here, ways) if ways else like
        if self._at(here._replace(stirred=True), ways).shown != plain.shown:
            return [here, here._replace(stirred=True)]
        bare = _Side(Interpreter(environ={"PYTHONHASHSEED": _SAME}, called=_BARE, bare=True))
        with suppress(Untried):
            one, laid = (self._at(each, ways).shown for each in (bare, bare._replace(stirred=True)))
            if one != laid and one == self._at(bare, ways).shown:
                return [bare, bare._replace(stirred=True)]
        return []

    def _session(self, evidence: Evidence, like: Tried) -> Finding:
        """Interpreters agree, and only the session's own, which has run more before, gave something else."""
        more = [_interpreter(seed, 1) for seed in _MORE]
        self._bench.prepare(more)
        for each in more:  # the order of two names is the same for every other hash seed
            if self._at(_Side(each)).shown != like.shown:
                sides = [_Side(_interpreter(_SAME, 1)), _Side(each)]
                return self._placed(established(("hash-seed",), evidence), sides)
        asked = Experiment((self._cell, self._cell), heard=True, watched=True)
        twice = self._bench.try_(asked, "run twice in one process", _interpreter(_SAME, 1))
        if twice.changed and not twice.equal:
            return established(("shared-state",), replace(evidence, changed=twice.changed))
        found = not_found(_SESSION)
        return replace(found, ruled_out=("hash-seed", "address-order"))

    def _suspect(self, evidence: Evidence, like: Tried) -> Finding:
        """What differs between processes of one image: whatever a process draws, or is told, by itself."""
        ruled_out = ["hash-seed", "address-order"]
        for way in suspects(evidence):
            if way != "shared-state" and self._equal(way, like):
                found = established((way,), evidence)
                innocent = (name for name in dict.fromkeys(ruled_out) if name != found.name)
                return replace(found, ruled_out=tuple(innocent))
            ruled_out += [word(way)] * (way != "shared-state")
        told = replace(evidence, divergence=None) if late(self.divergence) else evidence
        found = established(("process",), told)
        sides = [_Side(_interpreter(_SAME, number)) for number in (1, 2)]
        return self._placed(replace(found, ruled_out=tuple(dict.fromkeys(ruled_out))), sides)

    def _equal(self, way: str, like: Tried) -> bool:
        """Whether two interpreters give the same without *way*, and end as *like* did."""
        tried = self._in(_SAME, 1, (way,))
        # Where what is held makes all runs fail, they are equal and say nothing.
        if not (tried.equal and set(like.ended).issuperset(tried.ended)):
            return False
        return tried.shown == self._in(_SAME, 2, (way,)).shown

    def _placed(self, finding: Finding, sides: Sequence[_Side]) -> Finding:
        """*finding* with the line at which two sides first parted."""
        if late(self.divergence):
            with suppress(Untried):
                steps = [self._lines(side).steps[0] for side in sides]
                finding = with_line(finding, steps)
        return with_op(finding, self.divergence)

    def _lines(self, side: _Side) -> Tried:
        asked = Experiment((self._cell,), lined=True, stirred=side.stirred)
        return self._bench.try_(asked, "run line by line", side.interpreter)

    def _in(self, seed: str, number: int, ways: tuple[str, ...] = ()) -> Tried:
        """Two runs, each in a fork of one image of an interpreter."""
        return self._at(_Side(_interpreter(seed, number)), ways, observed=not ways)

    def _at(self, side: _Side, ways: tuple[str, ...] = (), observed: bool = False) -> Tried:
        """Two runs at a side, or one where an interpreter does not stay as it is from run to run."""
        cells = (self._cell,) * (1 if side.stirred or side.interpreter.bare else 2)
        asked = Experiment(
            cells, ways, traced=observed, heard=observed, apart=not side.stirred, stirred=side.stirred
        )
        return self._bench.try_(asked, _doing(side, ways), side.interpreter)


class _Side(NamedTuple):
    """Where runs are made.

    Attributes:
        interpreter: In a fork of which one.
        stirred: Whether memory is laid out in another way first.
    """

    interpreter: Interpreter
    stirred: bool = False


def _doing(side: _Side, ways: tuple[str, ...]) -> str:
    if side.stirred:
        return "memory laid out in another way"
    return ", ".join(map(held, ways)) or f"run in an interpreter with {side.interpreter.called}"


def _interpreter(seed: str, number: int) -> Interpreter:
    called = f"hash seed {seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": seed}, called=called)
