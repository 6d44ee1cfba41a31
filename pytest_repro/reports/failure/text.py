"""The failure text: what differs, how far, from which step on, and how to see it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pytest_repro.axes import get_axis
from pytest_repro.core.compare.baseline import BASELINE
from pytest_repro.core.compare.compare import describe_outcome
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import WITHOUT_BASELINE, Verdict
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.failure import cause, golden, level
from pytest_repro.reports.failure.runs import (
    format_axes,
    format_between,
    format_environment_diff,
    format_hints,
    format_input_note,
    format_past_log,
    format_run,
)
from pytest_repro.reports.failure.values import format_mismatches


def format_failure(nodeid: str, verdict: Verdict, replay_log: str | None = None) -> str:
    """The whole failure text of a verdict that is ``diverged``, ``unobserved``, or has no baseline.

    Args:
        nodeid: What is called not reproducible: pytest's node id, or a function's name.
        verdict: Why.
        replay_log: What was given as ``--repro-replay``.
    """
    ways = {
        "unobserved": _format_no_observation,
        "no-baseline": golden.format_missing_baseline,
        "foreign-baseline": golden.format_foreign_baseline,
    }
    lines = [*ways.get(str(verdict.outcome), _format_differences)(nodeid, verdict)]
    if verdict.outcome == "diverged" and "::" in nodeid:
        lines.append(f"  replay     {_format_replay_command(nodeid, verdict.plan, replay_log)}")
    return "\n".join(lines)


def format_lost_runs(nodeid: str, verdict: Verdict) -> str:
    """What is said of a test that other interpreters were to run, and gave no answer; or nothing."""
    told = "\n".join(run.error for run in verdict.runs if run.state == "lost")
    return f"{nodeid} was not compared: {told}" if told else ""


def format_headline(verdict: Verdict) -> str:
    """The failure in a few words, for one-line summaries: ``loss[4] differs, max abs 0.454``."""
    if verdict.outcome in WITHOUT_BASELINE:
        return golden.format_headline(verdict)
    if not verdict.mismatches:
        return "observed nothing"
    first = verdict.mismatches[0]
    if first.problem == "outcome":
        return f"outcome differs: {first.detail}"
    by_axis: dict[str, list[Mismatch]] = {}
    for each in verdict.mismatches:
        by_axis.setdefault((each.repeat_of or (each.axis,))[0], []).append(each)
    return "; ".join(_describe_mismatches(verdict.plan, found) for found in by_axis.values())


def _describe_mismatches(plan: Plan, mismatches: Sequence[Mismatch]) -> str:
    """What differs on one axis."""
    first, names = mismatches[0], {each.name for each in mismatches}
    also = f" and {len(names) - 1} more" if len(names) > 1 else ""
    verb, sides = "differ" if also else "differs", format_between(plan, first)
    what = f"{first.name}{also} {verb}{' ' if sides else ''}{sides}"
    if first.problem == "kind":
        return f"{what}: {first.kind}, then {first.other_kind}"
    if first.problem == "missing":
        return f"{what}: {first.detail if first.axis == BASELINE else 'not recorded in every run'}"
    far = first.difference
    return what + (f", max abs {far.max_abs:.3g}" if far is not None and far.max_abs is not None else "")


def describe_plan(plan: Plan) -> str:
    """What was asked: ``bit for bit, 3 runs, seed 0, varied: threads``."""
    close = plan.tolerance
    if close is not None and not close.exact:
        asked = f"within rtol {close.rtol:g} and atol {close.atol:g}"
    else:
        near = [v.axis for v in plan.vary if v.close and close is None and len(v.values) > 1]
        asked = "bit for bit" + (f", within torch.testing's tolerance on {', '.join(near)}" if near else "")
    if plan.level not in (None, "bitwise"):
        asked = f"level {plan.level}, {asked}"
    axes = [each.axis for each in plan.vary if len(each.values) > 1]
    varied = f", varied: {', '.join(axes)}" if axes else ""
    ranks = f" in {plan.ranks} rank{'s' * (plan.ranks != 1)}" if plan.ranks else ""
    return f"{asked}, {plan.runs} runs{ranks}, seed {plan.seed}{varied}"


def _format_no_observation(nodeid: str, verdict: Verdict) -> Iterator[str]:
    asked = verdict.plan.level not in (None, "bitwise")
    if asked and any(run.observation_count for run in verdict.runs):
        yield from level.format_no_observation_at_level(nodeid, verdict)
        return
    yield f"{nodeid} observed nothing: nothing was compared, so it could never have failed"
    yield ""
    if "::" not in nodeid:
        yield "  return what must stay the same   None is nothing"
        return
    yield "  record what must stay the same   def test_…(repro): repro.record(loss=loss)"
    if verdict.plan.capture != "recorded":
        yield "  or keep it in a local variable   tensors, arrays, modules and optimisers count there"
    if verdict.unobserved_locals:
        yield f"  not compared                     {', '.join(verdict.unobserved_locals)}: record it"


def _format_differences(nodeid: str, verdict: Verdict) -> Iterator[str]:
    wrong = "is not reproducible" if verdict.baseline is None else "differs from its golden file"
    yield f"{nodeid} {wrong} ({describe_plan(verdict.plan)})"
    yield ""
    outcome = [m for m in verdict.mismatches if m.problem == "outcome"]
    found = [m for m in verdict.mismatches if m.problem != "outcome"]
    if outcome:
        yield from _format_outcomes(verdict.runs)
    if found:
        told = list(format_axes(verdict))
        yield from [*told, ""] if told else []
        yield from format_mismatches(found, verdict)
        yield ""
        yield from (
            level.format_level_result(verdict) if verdict.baseline is None else ()
        )  # there the runs agree
        yield from format_input_note(verdict)
    yield from format_environment_diff(verdict)
    yield from cause.format_diagnosis(verdict)
    if found and verdict.baseline is None:
        yield from format_hints(verdict)
    yield from golden.format_how_to_accept(nodeid, verdict)
    yield from (f"  besides    {line}" for line in format_past_log(verdict))
    for run in verdict.runs:
        if run.state == "lost":
            yield from (f"  {line}" for line in f"besides    {run.error}".splitlines())


def _format_replay_command(nodeid: str, plan: Plan, replay_log: str | None) -> str:
    """The command that shows it again, as a shell takes it."""
    capture = f" --repro-capture={plan.capture}" if plan.capture != "auto" else ""
    audit = " --repro-all" if plan.audit else ""
    varied = [each for each in plan.vary if len(each.values) > 1]  # of others one value is there, as asked
    vary = "".join(f" --repro-vary={shlex.quote(get_axis(v.axis).format_option(v.values))}" for v in varied)
    log = f" --repro-replay={shlex.quote(replay_log)}" if replay_log is not None else ""
    asked = f"--repro-seed={plan.seed} --repro-runs={plan.runs}{capture}{audit}{vary}{log}"
    return f"pytest {shlex.quote(nodeid)} {asked}"


def _format_outcomes(runs: Sequence[Run]) -> Iterator[str]:
    ran = [run for run in runs if run.state == "ran"]
    yield f"  outcome    {', '.join(f'{format_run(run)} {describe_outcome(run)}' for run in ran)}"
    broken = next((run for run in ran if run.traceback), None)
    if broken is not None:
        yield ""
        yield f"  {format_run(broken)} {broken.outcome}:"
        yield from (f"    {line}".rstrip() for line in broken.traceback.splitlines())
        yield ""


def format_failure_note(verdict: Verdict, without_sweep: bool = True) -> str:
    """What the runs have shown beside a failure that pytest shows itself.

    Args:
        verdict: On them.
        without_sweep: Whether no sweep tells what other seeds do.
    """
    runs = sum(run.state == "ran" for run in verdict.runs)
    if verdict.outcome == "failed":
        times = f"in each of {runs} runs" if runs > 1 else "in its only run"
        said = f"failed {times}, each seeded with {verdict.plan.seed} by pytest-repro"
        if "deterministic implementation" in verdict.runs[0].traceback:
            return f'{said}; @pytest.mark.reproducible(deterministic="warn") lets the op run'
        if verdict.runs[0].failed_check or not without_sweep:
            return said
        return f"{said}; --repro-seed=random tells whether the seed is to blame"
    return "\n".join(_format_outcomes(verdict.runs)).strip()
