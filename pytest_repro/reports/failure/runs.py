"""How runs are called: ``run 2``, ``2 threads``; and what is said of the axes between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pytest_repro.axes import get_axis
from pytest_repro.core.compare.baseline import BASELINE
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.plot_data import PlotData
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.cell import REPEAT, Cell, make_reference_cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run


def format_run(run: Run | Mismatch | Cell | PlotData) -> str:
    """A run's name: ``run 2`` (counted from 1), ``2 threads``, ``2 threads again``."""
    if run.repeat_of is not None:
        return f"{get_axis(run.repeat_of[0]).format_value(run.repeat_of[1])} again"
    if run.axis == REPEAT:
        return f"run {int(str(run.value)) + 1}"
    return get_axis(run.axis).format_value(run.value)


def format_in_run(run: Run | Mismatch | Cell) -> str:
    """``in run 2``, ``with 2 threads``; ``here``, of what is compared with a golden file."""
    if run.axis == BASELINE:
        return "here"
    axis = (run.repeat_of or (run.axis,))[0]
    return f"{'in' if axis == REPEAT else get_axis(axis).preposition} {format_run(run)}"


def format_axis_value(axis: str, value: object) -> str:
    """``with 2 threads``, ``on cuda``."""
    return f"{get_axis(axis).preposition} {get_axis(axis).format_value(value)}"


def format_reference(mismatch: Mismatch) -> str:
    """Where the value is that *mismatch* differs from: ``in run 1``, ``on cuda``."""
    if mismatch.axis == BASELINE:
        return "in the golden file"
    return format_axis_value(*mismatch.repeat_of) if mismatch.repeat_of else "in run 1"


def format_differing_runs(mismatches: Sequence[Mismatch], runs: Sequence[Run]) -> str:
    """``run 2 differs from run 1``; where axes are varied ``differs at 2 threads``."""
    if mismatches[0].axis == BASELINE:
        return "differs from the golden file"
    if any(m.axis != REPEAT or m.repeat_of is not None for m in mismatches):
        return f"differs {', '.join(format_in_run(m) for m in mismatches)}"
    differ = [int(str(m.value)) for m in mismatches]
    repeats = [run for run in runs if run.axis == REPEAT and run.repeat_of is None]
    agree = [n for n in range(len(repeats)) if n not in differ]
    verb = "differs" if len(differ) == 1 else "differ"
    return f"{_format_run_numbers(differ)} {verb} from {_format_run_numbers(agree)}"


def _format_run_numbers(numbers: Sequence[int]) -> str:
    """``run 3``, ``runs 1, 2``, ``runs 1 to 4``: numbered from 1, as people count."""
    if len(numbers) == 1:
        return f"run {numbers[0] + 1}"
    spans = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        span = [number + 1 for _, number in group]
        spans.append(f"{span[0]} to {span[-1]}" if len(span) > 2 else ", ".join(map(str, span)))
    return f"runs {', '.join(spans)}"


def format_between(plan: Plan, mismatch: Mismatch) -> str:
    """The two sides of a difference: ``between 1 and 2 threads``; ``""`` between repeats."""
    axis, value = mismatch.repeat_of or (mismatch.axis, mismatch.value)
    if axis == REPEAT:
        return ""
    if axis == BASELINE:
        return "from the golden file"
    if mismatch.repeat_of is not None:
        return f"from run to run {format_axis_value(axis, value)}"
    return f"between {get_axis(axis).format_pair(make_reference_cell(plan.vary, 0).setting.get(axis), value)}"


def format_axes(verdict: Verdict) -> Iterator[str]:
    """A line for each value that parts from the reference: does it repeat itself, and is it equal?"""
    values = [m for m in verdict.mismatches if m.problem != "outcome" and m.axis != BASELINE]
    wild = next((m for m in values if m.axis == REPEAT and m.repeat_of is None), None)
    told = {m.repeat_of or (m.axis, m.value): m for m in reversed(values)}
    for (axis, value), first in reversed(told.items()):
        if axis == REPEAT:
            continue
        unsteady = next((m for m in values if m.repeat_of == (axis, value)), None)
        parted = next(
            (m for m in values if (m.axis, m.value) == (axis, value) and m.repeat_of is None), first
        )
        yield f"  {axis:<10} {_describe_axis_mismatch(verdict.plan, wild, unsteady, parted)}"


def _describe_axis_mismatch(
    plan: Plan,
    repeat_mismatch: Mismatch | None,
    value_repeat_mismatch: Mismatch | None,
    value_mismatch: Mismatch,
) -> str:
    if repeat_mismatch is not None:
        return f"differs {format_between(plan, value_mismatch)}, but from run to run already{_format_max_abs(repeat_mismatch)}"
    if value_repeat_mismatch is not None:
        there = value_repeat_mismatch.repeat_of
        assert there is not None
        reference = format_axis_value(there[0], make_reference_cell(plan.vary, 0).setting[there[0]])
        return f"run to run deterministic {reference}; not {format_axis_value(*there)}{_format_max_abs(value_repeat_mismatch)}"
    return f"run to run deterministic; differs {format_between(plan, value_mismatch)}{_format_max_abs(value_mismatch)}"


def _format_max_abs(mismatch: Mismatch) -> str:
    far = mismatch.difference.max_abs if mismatch.difference is not None else None
    return f": max abs {far:.3g} at {mismatch.name}" if far is not None else f": {mismatch.name}"


def format_input_note(verdict: Verdict) -> Iterator[str]:
    """A line where what was recorded first differs already, in a run that drew other numbers."""
    drew = {(run.axis, run.value) for run in verdict.runs if run.drew_on_axis}
    first = (next(iter(verdict.steps), ""), 0)
    for each in verdict.mismatches:
        if (each.axis, each.value) in drew and (each.series, each.step) == first:
            already = f"{each.name}, the first value of the test, differs already"
            yield f"  inputs     other numbers were drawn {format_in_run(each)}: {already}"
            return


def format_hints(verdict: Verdict) -> Iterator[str]:
    """Where to look, by the axes that differ; for the one whose cause was found that is said already."""
    differing = dict.fromkeys(
        (m.repeat_of or (m.axis,))[0] for m in verdict.mismatches if m.problem != "outcome"
    )
    unsteady = any(m.repeat_of is not None for m in verdict.mismatches)
    if verdict.cause is not None:
        differing.pop(
            REPEAT if any(m.axis == REPEAT for m in verdict.mismatches) else next(iter(differing)), None
        )
        unsteady = False
        if not differing:
            return
    lines: list[str] = [line for axis in differing if axis != REPEAT for line in get_axis(axis).hints]
    if REPEAT in differing or not differing:
        lines = [*_REPEAT_HINTS, *lines]
    elif unsteady:
        lines = ["threads that race, and ops without a deterministic implementation", *lines]
    for number, line in enumerate(lines):
        yield f"  {'look for' if number == 0 else '':<10} {line}"


_REPEAT_HINTS = (
    "default_rng() or random.Random() without a seed, os.urandom, the clock, the order",
    "of a set of objects, threads that race, what the run before left behind: in a",
    "global, a cache, a file, or a fixture of module or session scope",
)


def format_environment_diff(verdict: Verdict) -> Iterator[str]:
    """A line for whatever is not the same where a run that differs was made: ``numpy 2.4.6 here, …``."""
    differing = {(m.axis, m.value) for m in verdict.mismatches}
    lines = [
        f"{name} {here} here, {there} {format_in_run(run)}"
        for run in verdict.runs
        if (run.axis, run.value) in differing and run.repeat_of is None
        for name, (here, there) in run.environment_diff.items()
    ]
    for number, line in enumerate(lines):
        yield f"  {'unlike' if number == 0 else '':<10} {line}"


def format_past_log(verdict: Verdict) -> Iterator[str]:
    """A line for each place where runs asked for what is not in the log that they were fed from."""
    told: dict[str, str] = {}
    for run in verdict.runs:
        for each in run.past_log:
            told.setdefault(each, format_run(run))
    for each, first in told.items():
        yield f"{each} ({first})"


def describe_unavailable(verdict: Verdict) -> str:
    """What was asked and was not to be had: ``device cuda: torch finds no cuda device``."""
    absent = [run for run in verdict.runs if run.state == "absent"]
    return "; ".join(f"{run.axis} {run.value}: {run.error}" for run in absent)
