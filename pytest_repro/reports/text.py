"""The failure text: what differs, how far, from which step on, and how to see it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pytest_repro.axes import named
from pytest_repro.core.compare import said
from pytest_repro.core.difference import Difference
from pytest_repro.core.mismatch import Mismatch
from pytest_repro.core.plan import Plan
from pytest_repro.core.run import Run
from pytest_repro.core.verdict import Verdict
from pytest_repro.reports.runs import at, axes, between, called, inputs, look_for, where, which_runs

SHOWN = 6
"""Observations told in full; of the others only the names."""

NAMED = 8


def failure(nodeid: str, verdict: Verdict) -> str:
    """The whole failure text of a verdict that is ``diverged`` or ``unobserved``.

    Args:
        nodeid: What is called not reproducible: pytest's node id, or a function's name.
        verdict: Why.
    """
    lines = _unobserved if verdict.word == "unobserved" else _diverged
    return "\n".join(lines(nodeid, verdict))


def headline(verdict: Verdict) -> str:
    """The failure in a few words, for one-line summaries: ``loss[4] differs, max abs 0.454``."""
    if not verdict.mismatches:
        return "observed nothing"
    first = verdict.mismatches[0]
    if first.problem == "outcome":
        return f"outcome differs: {first.detail}"
    names = {each.name for each in verdict.mismatches}
    also = f" and {len(names) - 1} more" if len(names) > 1 else ""
    verb = "differ" if also else "differs"
    if first.problem == "kind":
        return f"{first.name}{also} {verb}: {first.kind}, then {first.other_kind}"
    if first.problem == "missing":
        return f"{first.name}{also} {verb}: not recorded in every run"
    found = first.difference
    far = f", max abs {found.max_abs:.3g}" if found is not None and found.max_abs is not None else ""
    sides = between(verdict.plan, first)
    return f"{first.name}{also} {verb}{' ' if sides else ''}{sides}{far}"


def terms(plan: Plan) -> str:
    """What was asked: ``bit for bit, 3 runs, seed 0, varied: threads``."""
    close = plan.tolerance
    if close is not None and not close.exact:
        asked = f"within rtol {close.rtol:g} and atol {close.atol:g}"
    else:
        near = [each.axis for each in plan.vary if each.close and close is None]
        asked = "bit for bit" + (f", within torch.testing's tolerance on {', '.join(near)}" if near else "")
    varied = f", varied: {', '.join(each.axis for each in plan.vary)}" if plan.vary else ""
    return f"{asked}, {plan.runs} runs, seed {plan.seed}{varied}"


def _unobserved(nodeid: str, verdict: Verdict) -> Iterator[str]:
    yield f"{nodeid} observed nothing: nothing was compared, so it could never have failed"
    yield ""
    if "::" not in nodeid:
        yield "  return what must stay the same   None is nothing"
        return
    yield "  record what must stay the same   def test_…(repro): repro.record(loss=loss)"
    if verdict.plan.capture != "recorded":
        yield "  or keep it in a local variable   tensors, arrays, modules and optimisers count there"
    if verdict.passed_over:
        yield f"  not compared                     {', '.join(verdict.passed_over)}: record it"


def _diverged(nodeid: str, verdict: Verdict) -> Iterator[str]:
    yield f"{nodeid} is not reproducible ({terms(verdict.plan)})"
    yield ""
    outcome = [m for m in verdict.mismatches if m.problem == "outcome"]
    values = [m for m in verdict.mismatches if m.problem != "outcome"]
    if outcome:
        yield from _outcomes(verdict.runs)
    if values:
        told = list(axes(verdict))
        yield from [*told, ""] if told else []
        yield from _values(values, verdict)
        yield ""
        yield from inputs(verdict)
        yield from look_for(verdict)
    for run in verdict.runs:
        if run.state == "lost":
            yield from (f"  {line}" for line in f"besides    {run.error}".splitlines())
    if "::" in nodeid:
        yield f"  replay     {_replay(nodeid, verdict.plan)}"


def _replay(nodeid: str, plan: Plan) -> str:
    """The command that shows it again, as a shell takes it."""
    capture = f" --repro-capture={plan.capture}" if plan.capture != "auto" else ""
    audit = " --repro-all" if plan.audit else ""
    vary = "".join(f" --repro-vary={shlex.quote(named(v.axis).written(v.values))}" for v in plan.vary)
    asked = f"--repro-seed={plan.seed} --repro-runs={plan.runs}{capture}{audit}{vary}"
    return f"pytest {shlex.quote(nodeid)} {asked}"


def _outcomes(runs: Sequence[Run]) -> Iterator[str]:
    ran = [run for run in runs if run.state == "ran"]
    yield f"  outcome    {', '.join(f'{called(run)} {said(run)}' for run in ran)}"
    broken = next((run for run in ran if run.traceback), None)
    if broken is not None:
        yield ""
        yield f"  {called(broken)} {broken.outcome}:"
        yield from (f"    {line}".rstrip() for line in broken.traceback.splitlines())
        yield ""


def _values(found: Sequence[Mismatch], verdict: Verdict) -> Iterator[str]:
    by_name: dict[str, list[Mismatch]] = {}
    for each in found:
        by_name.setdefault(each.name, []).append(each)
    heads = _first_of_each_series(by_name)
    for name in heads[:SHOWN]:
        yield from _observation(by_name[name], verdict, _later(name, by_name))
    rest = heads[SHOWN:]
    if rest:
        more = f", and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
        yield f"  likewise   {', '.join(rest[:NAMED])}{more}"


def _first_of_each_series(by_name: dict[str, list[Mismatch]]) -> list[str]:
    """Names to tell: of a series (a name and the path in it) only the first step that differs."""
    first: dict[tuple[str, str], str] = {}
    for name, found in by_name.items():
        key = found[0].series, found[0].path
        if key not in first or found[0].step < by_name[first[key]][0].step:
            first[key] = name
    return list(first.values())


def _later(name: str, by_name: dict[str, list[Mismatch]]) -> int:
    """How many later steps of the series of *name* differ too."""
    head = by_name[name][0]
    same = (m[0] for m in by_name.values() if (m[0].series, m[0].path) == (head.series, head.path))
    return sum(1 for _ in same) - 1


def _observation(found: Sequence[Mismatch], verdict: Verdict, later: int) -> Iterator[str]:
    """One observation in every run that differs: the numbers are those of the first such run."""
    head = found[0]
    yield f"  {head.name}   {head.kind}   {which_runs(found, verdict.runs)}"
    if head.problem == "kind":
        yield f"    {head.kind} in run 1, {head.other_kind} {where(head)}"
    elif head.problem == "missing":
        yield f"    recorded {where(head) if head.other_kind else 'in run 1'} only"
    elif head.difference is None:
        yield f"    {head.detail}"
    else:
        far = distance(head.difference)
        yield from [f"    {far}"] if far else []
        yield from _first_values(head.difference, head)
    steps = verdict.steps.get(head.series, 0)
    if steps > 1:
        steps_differ = "step differs" if later == 1 else "steps differ"
        after = f", {later} later {steps_differ} too" if later else ""
        yield f"    first differing step of {head.series}: {head.step} (0 to {steps - 1}){after}"


def distance(found: Difference) -> str:
    """How far in one line: ``1 of 4 elements (25 %), max abs 3.6e-05, max rel 0.00012, 12 ulp``.

    The distance in ulp never stands without the absolute one: near zero it is large and harmless.
    """
    words = []
    if found.total > 1:
        words.append(f"{found.differing:,} of {found.total:,} elements ({percent(found.share)})")
    if found.outside != found.differing:
        words.append(f"{found.outside:,} outside the tolerance")
    if found.max_abs is not None:
        words.append(f"max abs {found.max_abs:.3g}")
    if found.max_rel is not None:
        words.append(f"max rel {found.max_rel:.3g}")
    if found.max_ulp is not None and found.max_abs is not None:
        words.append(f"max ulp {found.max_ulp:,}")
    if found.non_finite:
        words.append(f"{found.non_finite:,} with NaN or infinity")
    return ", ".join(words)


def percent(share: float) -> str:
    """*share* (0 … 1) in percent; never 0 or 100 unless it is."""
    number = 100 * share
    text = f"{number:.3g}"
    if (text == "100" and number < 100) or (text == "0" and number > 0):
        text = ">99.9" if number > 50 else "<0.1"
    return f"{text} %"


def _first_values(found: Difference, head: Mismatch) -> Iterator[str]:
    if found.first_values is None:
        return
    index = f"first at {list(found.first_index)}: " if found.first_index else ""
    first = at(*head.at) if head.at else "in run 1"
    yield f"    {index}{found.first_values[0]} {first}, {found.first_values[1]} {where(head)}"


def beside(verdict: Verdict) -> str:
    """What the runs have shown beside a failure that pytest shows itself."""
    runs = sum(run.state == "ran" for run in verdict.runs)
    if verdict.word == "failed":
        times = f"in each of {runs} runs" if runs > 1 else "in its only run"
        said = f"failed {times}, each seeded with {verdict.plan.seed} by pytest-repro"
        if "deterministic implementation" in verdict.runs[0].traceback:
            return f'{said}; @pytest.mark.reproducible(deterministic="warn") lets the op run'
        return f"{said}; --repro-seed=random tells whether the seed is to blame"
    return "\n".join(_outcomes(verdict.runs)).strip()
