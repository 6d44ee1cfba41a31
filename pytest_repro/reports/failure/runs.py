"""How failure texts name runs, ``run 2`` or ``2 threads``, and what they say about axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_repro.axes import get_axis
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import BASELINE, SHARD, Verdict
from pytest_repro.core.plan.plan import REPEAT, AxisValues, Cell, Plan, make_reference_cell
from pytest_repro.core.runs.run import Run
from pytest_repro.core.text import quote_word
from pytest_repro.reports.failure import format_labelled, format_numbers, format_tolerance, plural

if TYPE_CHECKING:
    from pytest_repro.core.compare.plot_data import PlotData


def format_run(run: Run | Mismatch | Cell | PlotData) -> str:
    """``run 2`` (counted from 1), ``2 threads``, ``2 threads again``."""
    if run.axis == SHARD:
        return f"shard {run.value}"
    if run.repeat_of is not None:
        return f"{get_axis(run.repeat_of[0]).format_value(run.repeat_of[1])} again"
    if run.axis == REPEAT:
        return f"run {int(str(run.value)) + 1}"
    return get_axis(run.axis).format_value(run.value)


def format_in_run(run: Run | Mismatch | Cell) -> str:
    """``in run 2``, ``with 2 threads``; ``here`` for a comparison with a golden file."""
    if run.axis == BASELINE:
        return "here"
    if run.axis == SHARD:
        return f"in {format_run(run)}"
    axis = (run.repeat_of or (run.axis,))[0]
    return f"{'in' if axis == REPEAT else get_axis(axis).preposition} {format_run(run)}"


def format_vary(vary: Sequence[AxisValues]) -> str:
    """``, varied: device, threads``, and ``, with 4 threads`` for an axis of a single value."""
    varied = ", ".join(each.axis for each in vary if len(each.values) > 1)
    fixed = [format_axis_value(each.axis, each.values[0]) for each in vary if len(each.values) == 1]
    return ", ".join(["", *fixed, *([f"varied: {varied}"] if varied else [])])


def format_vary_options(vary: Sequence[AxisValues]) -> str:
    """The options that vary these axes, each after a space."""
    options = (get_axis(each.axis).format_option(each.values) for each in vary)
    return "".join(f" --repro-vary={quote_word(option)}" for option in options)


def format_axis_value(axis: str, value: object) -> str:
    """``with 2 threads``, ``on cuda``."""
    return f"{get_axis(axis).preposition} {get_axis(axis).format_value(value)}"


def format_reference(mismatch: Mismatch) -> str:
    """The side a mismatch differs from: ``in run 1``, ``on cuda``."""
    if mismatch.axis == BASELINE:
        return "in the golden file"
    if mismatch.axis == SHARD and mismatch.repeat_of:
        return f"in shard {mismatch.repeat_of[1]}"
    return format_axis_value(*mismatch.repeat_of) if mismatch.repeat_of else "in run 1"


def format_differing_runs(mismatches: Sequence[Mismatch], runs: Sequence[Run]) -> str:
    """``run 2 differs from run 1``; with varied axes ``differs with 2 threads``."""
    if mismatches[0].axis == BASELINE:
        return "differs from the golden file"
    if any(m.axis != REPEAT or m.repeat_of is not None for m in mismatches):
        return f"differs {', '.join(map(format_in_run, mismatches))}"
    differ = [int(str(m.value)) for m in mismatches]
    repeats = sum(run.axis == REPEAT and run.repeat_of is None for run in runs)
    agree = [number for number in range(repeats) if number not in differ]
    verb = "differs" if len(differ) == 1 else "differ"
    return f"{_format_run_numbers(differ)} {verb} from {_format_run_numbers(agree)}"


def _format_run_numbers(numbers: Sequence[int]) -> str:
    """``run 3``, ``runs 1, 2``, ``runs 1 to 4``; *numbers* count from 0."""
    if len(numbers) == 1:
        return f"run {numbers[0] + 1}"
    return f"runs {format_numbers([number + 1 for number in numbers])}"


def describe_problem(verdict: Verdict) -> str:
    """What is wrong with a test that ``diverged``: ``is not reproducible``."""
    if verdict.mismatches and all(m.axis == SHARD for m in verdict.mismatches):
        return "differs between shards"
    return "is not reproducible" if verdict.baseline is None else "differs from its golden file"


def describe_plan(plan: Plan) -> str:
    """``bit for bit, 3 runs, seed 0, varied: threads``."""
    how, runs = format_tolerance(plan.tolerance), plural(plan.runs, "run")
    close = ", ".join([vary.axis for vary in plan.vary if vary.close and len(vary.values) > 1])
    if plan.tolerance is None and close:
        how += f", within torch.testing's tolerance on {close}"
    if plan.level not in (None, "bitwise"):
        how = f"level {plan.level}, {how}"
    ranks = f" in {plural(plan.ranks, 'rank')}" if plan.ranks else ""
    return f"{how}, {runs}{ranks}, seed {plan.seed}{format_vary(plan.vary)}"


def format_between(plan: Plan, mismatch: Mismatch) -> str:
    """The two sides of a mismatch: ``between 1 and 2 threads``; ``""`` between repeats."""
    axis, value = mismatch.repeat_of or (mismatch.axis, mismatch.value)
    if axis == SHARD:
        return f"between shards {value} and {mismatch.value}"
    if axis == REPEAT:
        return ""
    if axis == BASELINE:
        return "from the golden file"
    if mismatch.repeat_of is not None:
        return f"from run to run {format_axis_value(axis, value)}"
    return f"between {get_axis(axis).format_pair(_get_reference_value(plan, axis), value)}"


def _get_reference_value(plan: Plan, axis: str) -> object:
    return make_reference_cell(plan.vary, 0).setting.get(axis)


def format_axes(verdict: Verdict) -> Iterator[str]:
    """A line for each axis value that differs: whether it repeats itself, and from what it differs."""
    mismatches = [m for m in verdict.mismatches if m.problem != "outcome" and m.axis not in (BASELINE, SHARD)]
    by_setting: dict[tuple[str, object], list[Mismatch]] = {}
    for mismatch in mismatches:
        by_setting.setdefault(mismatch.repeat_of or (mismatch.axis, mismatch.value), []).append(mismatch)
    repeats = [m for m in mismatches if m.axis == REPEAT and m.repeat_of is None]
    for (axis, _), found in by_setting.items():
        if axis != REPEAT:
            yield from format_labelled(axis, [_describe_axis(verdict.plan, axis, repeats, found)])


def _describe_axis(plan: Plan, axis: str, repeats: Sequence[Mismatch], mismatches: Sequence[Mismatch]) -> str:
    """*repeats* differ at the reference value of the axis, *mismatches* are those of another value."""
    first = next((m for m in mismatches if m.repeat_of is None), mismatches[0])
    between = format_between(plan, first)
    if repeats:
        return f"differs {between}, but already from run to run{_format_max_abs(repeats[0])}"
    for again in mismatches:
        if again.repeat_of is not None:
            reference = format_axis_value(axis, _get_reference_value(plan, axis))
            other = format_axis_value(*again.repeat_of)
            return f"run to run deterministic {reference}; not {other}{_format_max_abs(again)}"
    return f"run to run deterministic; differs {between}{_format_max_abs(first)}"


def _format_max_abs(mismatch: Mismatch) -> str:
    max_abs = mismatch.difference.max_abs if mismatch.difference is not None else None
    return f": max abs {max_abs:.3g} at {mismatch.name}" if max_abs is not None else f": {mismatch.name}"


def format_input_note(verdict: Verdict) -> Iterator[str]:
    """A line if the first recorded value differs already, in a run that drew other random numbers."""
    drew = {(run.axis, run.value) for run in verdict.runs if run.drew_on_axis}
    first = (next(iter(verdict.steps), ""), 0)
    for m in verdict.mismatches:
        if (m.axis, m.value) in drew and (m.series, m.step) == first:
            already = f"{m.name}, the first recorded value, differs already"
            yield from format_labelled("inputs", [f"other random numbers {format_in_run(m)}: {already}"])
            return


_REPEAT_HINTS = (
    "default_rng() or random.Random() without a seed, os.urandom, the clock, the order",
    "of a set of objects, racing threads, state that an earlier run left behind: in a",
    "global, a cache, a file, or a fixture of module or session scope",
)

_SHARD_HINTS = (
    "what other tests of a shard leave behind: a seeded generator, a global, a cache, a file; and",
    "what its machine has: instruction set, threads, versions, see pytest-repro compare",
)


def format_hints(verdict: Verdict) -> Iterator[str]:
    """Where to look, by axis that differs, except for the one that the diagnosis has explained or tested."""
    mismatches = [m for m in verdict.mismatches if m.axis != SHARD]
    if not mismatches:
        yield from format_labelled("look for", _SHARD_HINTS)
        return
    axes = dict.fromkeys((m.repeat_of or (m.axis,))[0] for m in mismatches if m.problem != "outcome")
    repeats_differ = any(m.repeat_of is not None for m in mismatches)
    if verdict.causes and not verdict.causes[0].is_untested:
        explained = REPEAT if any(m.axis == REPEAT for m in verdict.mismatches) else next(iter(axes))
        axes.pop(explained, None)
        repeats_differ = False
        if not axes:
            return
    lines = [line for axis in axes if axis != REPEAT for line in get_axis(axis).hints]
    if REPEAT in axes or not axes:
        lines = [*_REPEAT_HINTS, *lines]
    elif repeats_differ:
        lines = ["racing threads, and ops without a deterministic implementation", *lines]
    yield from format_labelled("look for", lines)


def format_folder_note(verdict: Verdict) -> str:
    """What the first line says if the name of a folder, another in each run, may be what differs."""
    if not verdict.runs[0].made_folders:
        return ""
    is_explained = verdict.cause is not None and verdict.cause.name != "unknown"
    if is_explained or not any(m.kind in ("str", "bytes", "int") for m in verdict.mismatches):
        return ""
    return "; each run has another tmp_path: a hash of its name, say, differs"


def format_environment_diff(verdict: Verdict) -> Iterator[str]:
    """A line for each difference of the environment of a run that differs: ``numpy 2.4.6 here, …``.

    Not if the run that it is compared with was made in that environment too.
    """
    differing = {(m.axis, m.value) for m in verdict.mismatches}
    runs = [run for run in verdict.runs if (run.axis, run.value) in differing and run.repeat_of is None]
    lines = (
        f"{name} {here} here, {there} {format_in_run(run)}"
        for run in runs
        for name, (here, there) in run.environment_diff.items()
        if verdict.runs[0].environment_diff.get(name) != (here, there)
    )
    return format_labelled("unlike", lines)


def format_past_log(verdict: Verdict) -> Iterator[str]:
    """A line for each place where a replayed run asked for something that is not in the log."""
    first_runs: dict[str, str] = {}
    for run in verdict.runs:
        for place in run.past_log:
            first_runs.setdefault(place, format_run(run))
    return (f"{place} ({run})" for place, run in first_runs.items())


def describe_unavailable(verdict: Verdict) -> str:
    """``device cuda: torch finds no cuda device``."""
    absent = [run for run in verdict.runs if run.state == "absent"]
    return "; ".join(f"{run.axis} {run.value}: {run.error}" for run in absent)
