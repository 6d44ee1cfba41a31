"""How runs are called: ``run 2``, ``2 threads``; and what is said of the axes between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pytest_repro.axes import named
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.plot_data import Picture
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.golden.golden import BASELINE
from pytest_repro.core.plan.cell import REPEAT, Cell, repeat
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run


def called(run: Run | Mismatch | Cell | Picture) -> str:
    """A run's name: ``run 2`` (counted from 1), ``2 threads``, ``2 threads again``."""
    if run.at is not None:
        return f"{named(run.at[0]).called(run.at[1])} again"
    if run.axis == REPEAT:
        return f"run {int(str(run.value)) + 1}"
    return named(run.axis).called(run.value)


def where(run: Run | Mismatch | Cell) -> str:
    """``in run 2``, ``with 2 threads``; ``here``, of what is compared with a golden file."""
    if run.axis == BASELINE:
        return "here"
    axis = (run.at or (run.axis,))[0]
    return f"{'in' if axis == REPEAT else named(axis).preposition} {called(run)}"


def at(axis: str, value: object) -> str:
    """``with 2 threads``, ``on cuda``."""
    return f"{named(axis).preposition} {named(axis).called(value)}"


def reference(found: Mismatch) -> str:
    """Where the value is that *found* differs from: ``in run 1``, ``on cuda``."""
    if found.axis == BASELINE:
        return "in the golden file"
    return at(*found.at) if found.at else "in run 1"


def which_runs(found: Sequence[Mismatch], runs: Sequence[Run]) -> str:
    """``run 2 differs from run 1``; where axes are varied ``differs at 2 threads``."""
    if found[0].axis == BASELINE:
        return "differs from the golden file"
    if any(m.axis != REPEAT or m.at is not None for m in found):
        return f"differs {', '.join(where(m) for m in found)}"
    differ = [int(str(m.value)) for m in found]
    repeats = [run for run in runs if run.axis == REPEAT and run.at is None]
    agree = [n for n in range(len(repeats)) if n not in differ]
    verb = "differs" if len(differ) == 1 else "differ"
    return f"{_numbers(differ)} {verb} from {_numbers(agree)}"


def _numbers(runs: Sequence[int]) -> str:
    """``run 3``, ``runs 1, 2``, ``runs 1 to 4``: numbered from 1, as people count."""
    if len(runs) == 1:
        return f"run {runs[0] + 1}"
    spans = []
    for _, group in groupby(enumerate(runs), key=lambda pair: pair[1] - pair[0]):
        span = [number + 1 for _, number in group]
        spans.append(f"{span[0]} to {span[-1]}" if len(span) > 2 else ", ".join(map(str, span)))
    return f"runs {', '.join(spans)}"


def between(plan: Plan, found: Mismatch) -> str:
    """The two sides of a difference: ``between 1 and 2 threads``; ``""`` between repeats."""
    axis, value = found.at or (found.axis, found.value)
    if axis == REPEAT:
        return ""
    if axis == BASELINE:
        return "from the golden file"
    if found.at is not None:
        return f"from run to run {at(axis, value)}"
    return f"between {named(axis).between(repeat(plan.vary, 0).setting.get(axis), value)}"


def axes(verdict: Verdict) -> Iterator[str]:
    """A line for each value that parts from the reference: does it repeat itself, and is it equal?"""
    values = [m for m in verdict.mismatches if m.problem != "outcome" and m.axis != BASELINE]
    wild = next((m for m in values if m.axis == REPEAT and m.at is None), None)
    told = {m.at or (m.axis, m.value): m for m in reversed(values)}
    for (axis, value), first in reversed(told.items()):
        if axis == REPEAT:
            continue
        unsteady = next((m for m in values if m.at == (axis, value)), None)
        parted = next((m for m in values if (m.axis, m.value) == (axis, value) and m.at is None), first)
        yield f"  {axis:<10} {_said(verdict.plan, wild, unsteady, parted)}"


def _said(plan: Plan, wild: Mismatch | None, unsteady: Mismatch | None, parted: Mismatch) -> str:
    if wild is not None:
        return f"differs {between(plan, parted)}, but from run to run already{_far(wild)}"
    if unsteady is not None:
        there = unsteady.at
        assert there is not None
        reference = at(there[0], repeat(plan.vary, 0).setting[there[0]])
        return f"run to run deterministic {reference}; not {at(*there)}{_far(unsteady)}"
    return f"run to run deterministic; differs {between(plan, parted)}{_far(parted)}"


def _far(found: Mismatch) -> str:
    far = found.difference.max_abs if found.difference is not None else None
    return f": max abs {far:.3g} at {found.name}" if far is not None else f": {found.name}"


def inputs(verdict: Verdict) -> Iterator[str]:
    """A line where what was recorded first differs already, in a run that drew other numbers."""
    drew = {(run.axis, run.value) for run in verdict.runs if run.drew}
    first = (next(iter(verdict.steps), ""), 0)
    for each in verdict.mismatches:
        if (each.axis, each.value) in drew and (each.series, each.step) == first:
            already = f"{each.name}, the first value of the test, differs already"
            yield f"  inputs     other numbers were drawn {where(each)}: {already}"
            return


def look_for(verdict: Verdict) -> Iterator[str]:
    """Where to look, by the axes that differ; for the one whose cause was found that is said already."""
    differing = dict.fromkeys((m.at or (m.axis,))[0] for m in verdict.mismatches if m.problem != "outcome")
    unsteady = any(m.at is not None for m in verdict.mismatches)
    if verdict.finding is not None:
        differing.pop(
            REPEAT if any(m.axis == REPEAT for m in verdict.mismatches) else next(iter(differing)), None
        )
        unsteady = False
        if not differing:
            return
    lines: list[str] = [line for axis in differing if axis != REPEAT for line in named(axis).look_for]
    if REPEAT in differing or not differing:
        lines = [*_REPEATED, *lines]
    elif unsteady:
        lines = ["threads that race, and ops without a deterministic implementation", *lines]
    for number, line in enumerate(lines):
        yield f"  {'look for' if number == 0 else '':<10} {line}"


_REPEATED = (
    "default_rng() or random.Random() without a seed, os.urandom, the clock, the order",
    "of a set of objects, threads that race, what the run before left behind: in a",
    "global, a cache, a file, or a fixture of module or session scope",
)


def unlike(verdict: Verdict) -> Iterator[str]:
    """A line for whatever is not the same where a run that differs was made: ``numpy 2.4.6 here, …``."""
    differing = {(m.axis, m.value) for m in verdict.mismatches}
    lines = [
        f"{name} {here} here, {there} {where(run)}"
        for run in verdict.runs
        if (run.axis, run.value) in differing and run.at is None
        for name, (here, there) in run.unlike.items()
    ]
    for number, line in enumerate(lines):
        yield f"  {'unlike' if number == 0 else '':<10} {line}"


def beyond(verdict: Verdict) -> Iterator[str]:
    """A line for each place where runs asked for what is not in the log that they were fed from."""
    told: dict[str, str] = {}
    for run in verdict.runs:
        for each in run.beyond:
            told.setdefault(each, called(run))
    for each, first in told.items():
        yield f"{each} ({first})"


def without(verdict: Verdict) -> str:
    """What was asked and was not to be had: ``device cuda: torch finds no cuda device``."""
    absent = [run for run in verdict.runs if run.state == "absent"]
    return "; ".join(f"{run.axis} {run.value}: {run.error}" for run in absent)
