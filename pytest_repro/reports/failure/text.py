"""The failure text of a verdict: what differs, by how much, and how to see it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_repro.core.compare.mismatch import Mismatch, describe_outcome
from pytest_repro.core.compare.verdict import BASELINE, WITHOUT_BASELINE, Verdict
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.observation import ARRAY_EXCLUSION
from pytest_repro.core.runs.run import Run
from pytest_repro.core.text import quote_word
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import cause, format_labelled, golden, wrap_labelled
from pytest_repro.reports.failure.runs import (
    describe_plan,
    describe_problem,
    format_axes,
    format_between,
    format_environment_diff,
    format_folder_note,
    format_hints,
    format_input_note,
    format_past_log,
    format_run,
    format_vary_options,
)
from pytest_repro.reports.failure.tables import MOVED, find_moved_table
from pytest_repro.reports.failure.values import format_differing_names, format_max_abs, format_mismatches
from pytest_repro.reports.summary import NOT_COMPARED, OBSERVED_NOTHING

_MAX_VALUES = 5

_LEVEL_TEXTS = {
    "bitwise": "every value is equal",
    "process": "every recorded number and prediction is equal, other values differ",
    "outcome": "the last recorded numbers and predictions are equal, earlier ones differ",
    "none": "the last recorded numbers and predictions differ",
}

_WITHOUT_GRADIENT = (
    "a weight whose true gradient is 0 (a bias before BatchNorm) follows rounding errors, which Adam scales "
    'up to whole steps; level="process" compares recorded numbers and predictions, not weights'
)
_AGREEING_TEXTS = {
    "numbers": f"the recorded numbers agree, only parts of a module or an object do not: {_WITHOUT_GRADIENT}",
    "close numbers": f"the recorded numbers are close, parts of a module or an object are not: "
    f"{_WITHOUT_GRADIENT}; these numbers also need rtol and atol",
    "parts": f"most parts of a module or an object agree: {_WITHOUT_GRADIENT}, so record the loss",
}


def format_failure(
    nodeid: str, verdict: Verdict, options: str = "", docs_url: str = "", program: str = "pytest"
) -> str:
    """The whole failure text of a verdict that is ``diverged``, ``unobserved``, or has no baseline.
    *nodeid* may be the name of a function; *program* and *options* are of the replay line."""
    formats = {
        "unobserved": _format_no_observation,
        "no-baseline": golden.format_missing_baseline,
        "foreign-baseline": golden.format_foreign_baseline,
    }
    lines = [*formats.get(str(verdict.outcome), _format_differences)(nodeid, verdict)]
    lines += cause.format_links(verdict, docs_url) if docs_url else ()
    if verdict.outcome == "diverged" and "::" in nodeid:
        lines += format_labelled("replay", [f"{program} {_format_replay(nodeid, verdict.plan, options)}"])
    return "\n".join(lines)


def format_lost_runs(nodeid: str, verdict: Verdict) -> str:
    """Why runs in other interpreters gave no result; ``""`` if all did."""
    errors = "\n".join(run.error for run in verdict.runs if run.state == "lost")
    return f"{nodeid} was not compared: {errors}" if errors else ""


def format_headline(verdict: Verdict) -> str:
    """The failure in one line: ``loss[4] differs, max abs 0.454``."""
    if verdict.outcome in WITHOUT_BASELINE:
        return golden.format_headline(verdict)
    if verdict.not_compared and verdict.is_partial and any(run.observation_count for run in verdict.runs):
        return f"{NOT_COMPARED}{format_list(list(verdict.not_compared), _MAX_VALUES)}"
    if not verdict.mismatches:  # of an assertion of this package that failed, the first line
        return verdict.runs[0].error.replace("pytest_repro.NotReproducible: ", "") or OBSERVED_NOTHING
    first = verdict.mismatches[0]
    if first.problem == "outcome":
        return f"outcome differs: {first.detail}"
    by_axis: dict[str, list[Mismatch]] = {}
    for mismatch in verdict.mismatches:
        by_axis.setdefault((mismatch.repeat_of or (mismatch.axis,))[0], []).append(mismatch)
    return "; ".join(_describe_mismatches(verdict, found) for found in by_axis.values())


def _describe_mismatches(verdict: Verdict, mismatches: Sequence[Mismatch]) -> str:
    """What differs on one axis."""
    plan, first, names = verdict.plan, mismatches[0], {mismatch.name for mismatch in mismatches}
    if verdict.tables and (table := find_moved_table(mismatches, verdict.tables)):
        return f"{table} {format_between(plan, first)}".rstrip() + MOVED
    text = f"{format_differing_names(first.name, len(names))} {format_between(plan, first)}".rstrip()
    if first.problem == "kind":
        return f"{text}: {first.kind}, then {first.other_kind}"
    if first.problem == "missing":
        return f"{text}: {first.detail if first.axis == BASELINE else 'not recorded in every run'}"
    return text + (format_max_abs(first.difference) or golden.format_shift(verdict, first.name))


def _format_no_observation(nodeid: str, verdict: Verdict) -> Iterator[str]:
    has_level = verdict.plan.level not in (None, "bitwise")
    if (has_level or verdict.is_partial) and any(run.observation_count for run in verdict.runs):
        formatter = _format_too_little if verdict.is_partial else _format_no_observation_at_level
        yield from formatter(nodeid, verdict)
        return
    yield f"{nodeid} observed nothing: nothing was compared, so it could never have failed"
    yield ""
    if verdict.runs[0].outcome == "failed":
        yield from _format_outcomes(verdict.runs)
        return
    if "::" not in nodeid:
        yield "  return what must stay the same   the function returned None"
        return
    yield "  record what must stay the same   def test_…(repro): repro.record(loss=loss)"
    if verdict.plan.capture != "recorded":
        yield "  or keep it in a local variable   tensors, arrays, modules and optimizers are compared"
    if verdict.not_compared:
        names = format_list(list(verdict.not_compared), _MAX_VALUES)
        yield f"  not compared                     {names}: record it"


def _format_too_little(nodeid: str, verdict: Verdict) -> Iterator[str]:
    yield f'{nodeid} compared only a part of what it computed, and capture="strict" requires all of it'
    yield ""
    by_reason: dict[str, list[str]] = {}
    for name, reason in verdict.not_compared.items():
        by_reason.setdefault(f": {reason}" if reason else "", []).append(name)
    for number, (reason, names) in enumerate(sorted(by_reason.items())):
        yield from wrap_labelled("" if number else "left out", f"{', '.join(names)}{reason}")
    how = "what must stay the same: def test_…(repro): repro.record(loss=loss, x=x)"
    yield from format_labelled("record", [how, "then only recorded values are compared"])
    yield from format_labelled("or", ["begin the name of a variable that may differ with _"])


def _format_no_observation_at_level(nodeid: str, verdict: Verdict) -> Iterator[str]:
    yield f"{nodeid} observed nothing at level {verdict.plan.level}: it could never have failed"
    yield ""
    yield "  record what counts there   numbers, text, predictions: repro.record(loss=loss, labels=labels)"
    for number, value in enumerate(verdict.uncounted[:_MAX_VALUES]):
        yield f"  {'' if number else 'not counted':27}{value}"
    if len(verdict.uncounted) > _MAX_VALUES:
        yield f"  {'':27}and {len(verdict.uncounted) - _MAX_VALUES} more"


def describe_uncompared_values(verdict: Verdict) -> str:
    """The recorded values that do not count at the level: ``probs float64[5, 3]``; ``""`` without any."""
    end = f": {ARRAY_EXCLUSION}"
    excluded = [each.removesuffix(end) for each in verdict.uncounted if each.endswith(end)]
    if not excluded or verdict.outcome == "unobserved":  # then the failure text lists them
        return ""
    names = format_list(excluded, _MAX_VALUES)
    return f"not compared at {verdict.plan.level}: {names} ({ARRAY_EXCLUSION})"


def _format_differences(nodeid: str, verdict: Verdict) -> Iterator[str]:
    yield f"{nodeid} {describe_problem(verdict)} ({describe_plan(verdict.plan)}{format_folder_note(verdict)})"
    yield ""
    values = [m for m in verdict.mismatches if m.problem != "outcome"]
    if len(values) < len(verdict.mismatches) or verdict.runs[0].outcome == "failed":
        yield from _format_outcomes(verdict.runs)
    if values:
        axes = list(format_axes(verdict))
        yield from [*axes, ""] if axes else []
        yield from [*format_mismatches(values, verdict), ""]
        if verdict.baseline is None and verdict.level is not None:  # with a baseline, the runs agree
            asked, reached = verdict.level
            result = f"asked {asked}, reached {reached}: {_LEVEL_TEXTS[reached]}"
            yield from format_labelled("level", [result])
        if any(run.drew_on_axis for run in verdict.runs):
            yield from format_input_note(verdict)
        if verdict.agreeing:
            yield from wrap_labelled("note", _AGREEING_TEXTS[verdict.agreeing])
    if any(run.environment_diff for run in verdict.runs):
        yield from format_environment_diff(verdict)
    if verdict.causes or verdict.divergence is not None:
        yield from cause.format_diagnosis(verdict)
    if verdict.undiagnosed:
        yield from wrap_labelled("no cause", verdict.undiagnosed)
    if values and verdict.baseline is None:
        yield from [*format_hints(verdict)]
    if verdict.baseline is not None:
        yield from golden.format_how_to_accept(nodeid, verdict)
    if any(run.past_log for run in verdict.runs):
        for line in format_past_log(verdict):
            yield from format_labelled("note", [line])
    for run in verdict.runs:
        if run.state == "lost":
            first, *rest = run.error.splitlines() or [""]
            yield from format_labelled("note", [first])
            yield from (f"  {line}" for line in rest)


def _format_replay(nodeid: str, plan: Plan, more: str) -> str:
    """The arguments of the shell command that shows the failure again."""
    capture = f" --repro-capture={plan.capture}" if plan.capture != "auto" else ""
    audit = " --repro-all" if plan.audit else ""
    mode = "" if plan.deterministic is True else f" --repro-deterministic={plan.deterministic}".lower()
    options = f"--repro-seed={plan.seed} --repro-runs={plan.runs}{capture}{mode}{audit}"
    varied = format_vary_options(plan.vary) if plan.vary else ""
    return f"{quote_word(nodeid)} {options}{varied}{more}"


def _format_outcomes(runs: Sequence[Run]) -> Iterator[str]:
    ran = [run for run in runs if run.state == "ran"]
    outcomes = [f"{format_run(run)} {describe_outcome(run)}" for run in ran]
    if len(ran) > 1 and len(set(map(describe_outcome, ran))) == 1:
        outcomes = [f"{describe_outcome(ran[0])} in each of {len(ran)} runs"]
    yield from format_labelled("outcome", [", ".join(outcomes)])
    broken = next((run for run in ran if run.traceback), None)
    if broken is not None:
        yield ""
        yield f"  {format_run(broken)} {broken.outcome}:"
        yield from (f"    {line}".rstrip() for line in broken.traceback.splitlines())
        yield ""


def format_failure_note(verdict: Verdict, without_sweep: bool = True) -> str:
    """What the runs showed, beside a failure that pytest itself reports.

    *without_sweep*: no seed sweep shows what other seeds do.
    """
    if verdict.outcome != "failed" and verdict.mismatches:
        return "\n".join(_format_outcomes(verdict.runs)).strip()
    runs = sum(run.state == "ran" for run in verdict.runs)
    times = f"in each of {runs} runs" if runs > 1 else "in its only run"
    text = f"failed {times}, each seeded with {verdict.plan.seed} by pytest-repro"
    if "deterministic implementation" in verdict.runs[0].traceback:
        marker = '@pytest.mark.reproducible(deterministic="warn")'
        return f"{text}; {'--repro-deterministic=warn' if verdict.plan.audit else marker} lets the op run"
    if verdict.runs[0].failed_check or not without_sweep:
        return text
    return f"{text}; --repro-seed=random shows whether it depends on the seed"
