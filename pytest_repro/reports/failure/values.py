"""What differs and how far, one observation at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.runs.token_sequence import Parting
from pytest_repro.reports.failure.runs import reference, where, which_runs

SHOWN = 6
"""Observations told in full; of the others only the names."""

NAMED = 8


def values(found: Sequence[Mismatch], verdict: Verdict) -> Iterator[str]:
    """What differs, one observation at a time; of the many only the names.

    Args:
        found: Mismatches of values, kinds, or what is missing.
        verdict: That they belong to.
    """
    by_name: dict[str, list[Mismatch]] = {}
    for each in found:
        by_name.setdefault(each.name, []).append(each)
    heads = _first_of_each_family(by_name)
    for name in heads[:SHOWN]:
        yield from _observation(name, by_name, verdict)
    rest = heads[SHOWN:]
    if rest:
        more = f", and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
        yield f"  likewise   {', '.join(rest[:NAMED])}{more}"


def _family(each: Mismatch) -> tuple[str, str]:
    """What is told once: a series, whatever the step, and a list, whatever the place in it."""
    return each.series, re.sub(r"\[\d+\]$", "[]", each.path)


def _first_of_each_family(by_name: dict[str, list[Mismatch]]) -> list[str]:
    """Names to tell: of a series only the first step that differs, of a list the first element."""
    first: dict[tuple[str, str], str] = {}
    for name, found in by_name.items():
        key = _family(found[0])
        if key not in first or found[0].step < by_name[first[key]][0].step:
            first[key] = name
    return list(first.values())


def _observation(name: str, by_name: dict[str, list[Mismatch]], verdict: Verdict) -> Iterator[str]:
    """One observation in every run that differs: the numbers are those of the first such run."""
    found = by_name[name]
    head = found[0]
    yield f"  {head.name}   {head.kind}   {which_runs(found, verdict.runs)}"
    if head.problem == "kind":
        yield f"    {head.kind} {reference(head)}, {head.other_kind} {where(head)}"
    elif head.problem == "missing":
        yield f"    recorded {where(head) if head.other_kind else reference(head)} only"
    elif head.difference is None:
        yield f"    {head.detail}"
    else:
        far = distance(head.difference)
        yield from [f"    {far}"] if far else []
        yield from _first_values(head.difference, head)
        if head.difference.parting is not None:
            yield from _parting(head.difference.parting, reference(head))
    family = [each[0] for each in by_name.values() if _family(each[0]) == _family(head)]
    yield from _others(head, family, verdict.steps.get(head.series, 0))


def _others(head: Mismatch, family: Sequence[Mismatch], steps: int) -> Iterator[str]:
    """What differs likewise: later steps of the series, more elements of the list."""
    elements = len({each.path for each in family}) - 1
    if elements:
        of = re.sub(r"\[\d+\]$", "", head.name)
        yield f"    {elements} more element{'s' * (elements > 1)} of {of} differ{'s' * (elements == 1)} too"
    if steps > 1:
        later = len({each.step for each in family}) - 1
        steps_differ = "step differs" if later == 1 else "steps differ"
        after = f", {later} later {steps_differ} too" if later else ""
        yield f"    first differing step of {head.series}: {head.step} (0 to {steps - 1}){after}"


def _parting(found: Parting, where: str) -> Iterator[str]:
    """How close the two tokens were, and how they were sampled; *where* the logits are known."""
    words = []
    if found.gap is not None:
        far = "hold NaN" if math.isnan(found.gap) else f"are {found.gap:.3g} apart"
        words.append(f"their logits {far}")
    if found.top_gap is not None:
        nan = math.isnan(found.top_gap)
        words.append("NaN among all" if nan else f"the largest {found.top_gap:.3g} above the second")
    if words:
        yield f"    {where} {', '.join(words)}"
    if found.sampling:
        yield f"    sampled with {', '.join(f'{name} {given}' for name, given in found.sampling.items())}"


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
    yield f"    {index}{found.first_values[0]} {reference(head)}, {found.first_values[1]} {where(head)}"
