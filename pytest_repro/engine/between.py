"""Why runs differ between two values of an axis, each of which repeats itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from pytest_repro.axes import Interpreter, named
from pytest_repro.core.cell import REPEAT, Cell
from pytest_repro.core.divergence import Divergence, first_divergence
from pytest_repro.core.evidence import Evidence
from pytest_repro.core.experiment import Experiment, Tried
from pytest_repro.core.finding import Finding
from pytest_repro.engine.placed import late, with_line, with_op
from pytest_repro.engine.subject import Bench, Untried
from pytest_repro.engine.suspects import established, held, not_found, of_axis, suspects, word

_SAME, _OTHER = "1", "2"
"""Hash seeds of the interpreters that are compared."""

_LAID = (
    "interpreters with the same hash seed differed, and one differed from itself with memory laid out anew"
)


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
        if like.equal and like.shown == again.shown == other.shown:
            return established(("shared-state",), evidence, "a fresh process and the session's own")
        if like.equal and like.shown == again.shown:
            return self._placed(established(("hash-seed",), evidence), _OTHER)
        if like.equal and self._in(_SAME, 1, stirred=True).shown != like.shown:
            found = established(("address-order",), evidence, _LAID)
            return self._placed(replace(found, ruled_out=("hash-seed",)), _SAME)
        return self._suspect(evidence, like)

    def _suspect(self, evidence: Evidence, like: Tried) -> Finding:
        """What differs between processes of one image: whatever a process draws, or is told, by itself."""
        ruled_out = ["hash-seed", "address-order"]
        for way in suspects(evidence):
            if way != "shared-state" and self._equal(way, like):
                found = established((way,), evidence)
                innocent = (name for name in dict.fromkeys(ruled_out) if name != found.name)
                return replace(found, ruled_out=tuple(innocent))
            ruled_out.append(word(way))
        told = replace(evidence, divergence=None) if late(self.divergence) else evidence
        found = established(("process",), told)
        innocent = (name for name in dict.fromkeys(ruled_out) if name != found.name)
        return self._placed(replace(found, ruled_out=tuple(innocent)), _SAME)

    def _equal(self, way: str, like: Tried) -> bool:
        """Whether two interpreters give the same without *way*, and end as *like* did."""
        tried = self._in(_SAME, 1, (way,))
        # Where what is held makes all runs fail, they are equal and say nothing.
        if not (tried.equal and set(like.ended).issuperset(tried.ended)):
            return False
        return tried.shown == self._in(_SAME, 2, (way,)).shown

    def _placed(self, finding: Finding, seed: str) -> Finding:
        """*finding* with the line at which two interpreters first parted."""
        if late(self.divergence):
            with suppress(Untried):
                asked = Experiment((self._cell,), lined=True)
                doing, places = "run line by line", ((_SAME, 1), (seed, 1 if seed == _OTHER else 2))
                sides = [self._bench.try_(asked, doing, _interpreter(*place)) for place in places]
                finding = with_line(finding, [side.steps[0] for side in sides])
        return with_op(finding, self.divergence)

    def _in(self, seed: str, number: int, ways: tuple[str, ...] = (), stirred: bool = False) -> Tried:
        """Two runs, each in a fork of one image of an interpreter."""
        asked = Experiment(
            (self._cell, self._cell),
            ways,
            traced=not ways,
            heard=not ways,
            apart=not stirred,
            stirred=stirred,
        )
        return self._bench.try_(asked, _doing(seed, ways, stirred), _interpreter(seed, number))


def _doing(seed: str, ways: tuple[str, ...], stirred: bool) -> str:
    if stirred:
        return "memory laid out in another way"
    return ", ".join(map(held, ways)) or f"run in an interpreter with hash seed {seed}"


def _interpreter(seed: str, number: int) -> Interpreter:
    called = f"hash seed {seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": seed}, called=called)
