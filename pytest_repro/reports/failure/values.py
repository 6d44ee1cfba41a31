"""What differs and how far, one observation at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.runs.token_sequence import TokenDivergence
from pytest_repro.reports.failure.runs import format_differing_runs, format_in_run, format_reference

MAX_FULL_TEXTS = 6
"""Observations told in full; of the others only the names."""

MAX_NAMES = 8


def format_mismatches(mismatches: Sequence[Mismatch], verdict: Verdict) -> Iterator[str]:
    """What differs, one observation at a time; of the many only the names.

    Args:
        mismatches: Mismatches of values, kinds, or what is missing.
        verdict: That they belong to.
    """
    by_name: dict[str, list[Mismatch]] = {}
    for each in mismatches:
        by_name.setdefault(each.name, []).append(each)
    heads = _select_family_heads(by_name)
    for name in heads[:MAX_FULL_TEXTS]:
        yield from _format_observation(name, by_name, verdict)
    rest = heads[MAX_FULL_TEXTS:]
    if rest:
        more = f", and {len(rest) - MAX_NAMES} more" if len(rest) > MAX_NAMES else ""
        yield f"  likewise   {', '.join(rest[:MAX_NAMES])}{more}"


def _get_family(mismatch: Mismatch) -> tuple[str, str]:
    """What is told once: a series, whatever the step, and a list, whatever the place in it."""
    return mismatch.series, re.sub(r"\[\d+\]$", "[]", mismatch.path)


def _select_family_heads(by_name: dict[str, list[Mismatch]]) -> list[str]:
    """Names to tell: of a series only the first step that differs, of a list the first element."""
    first: dict[tuple[str, str], str] = {}
    for name, found in by_name.items():
        key = _get_family(found[0])
        if key not in first or found[0].step < by_name[first[key]][0].step:
            first[key] = name
    return list(first.values())


def _format_observation(name: str, by_name: dict[str, list[Mismatch]], verdict: Verdict) -> Iterator[str]:
    """One observation in every run that differs: the numbers are those of the first such run."""
    found = by_name[name]
    head = found[0]
    yield f"  {head.name}   {head.kind}   {format_differing_runs(found, verdict.runs)}"
    if head.problem == "kind":
        yield f"    {head.kind} {format_reference(head)}, {head.other_kind} {format_in_run(head)}"
    elif head.problem == "missing":
        yield f"    recorded {format_in_run(head) if head.other_kind else format_reference(head)} only"
    elif head.difference is None:
        yield f"    {head.detail}"
    else:
        far = format_distance(head.difference)
        yield from [f"    {far}"] if far else []
        yield from _format_first_values(head.difference, head)
        if head.difference.token_divergence is not None:
            yield from _format_token_divergence(head.difference.token_divergence, format_reference(head))
    family = [each[0] for each in by_name.values() if _get_family(each[0]) == _get_family(head)]
    yield from _format_rest_of_family(head, family, verdict.steps.get(head.series, 0))


def _format_rest_of_family(head: Mismatch, family: Sequence[Mismatch], steps: int) -> Iterator[str]:
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


def _format_token_divergence(divergence: TokenDivergence, reference_text: str) -> Iterator[str]:
    """How close the two tokens were, and how they were sampled; *reference_text* the logits are known."""
    words = []
    if divergence.gap is not None:
        far = "hold NaN" if math.isnan(divergence.gap) else f"are {divergence.gap:.3g} apart"
        words.append(f"their logits {far}")
    if divergence.top_gap is not None:
        nan = math.isnan(divergence.top_gap)
        words.append("NaN among all" if nan else f"the largest {divergence.top_gap:.3g} above the second")
    if words:
        yield f"    {reference_text} {', '.join(words)}"
    if divergence.sampling:
        yield f"    sampled with {', '.join(f'{name} {given}' for name, given in divergence.sampling.items())}"


def format_distance(difference: Difference) -> str:
    """How far in one line: ``1 of 4 elements (25 %), max abs 3.6e-05, max rel 0.00012, 12 ulp``.

    The distance in ulp never stands without the absolute one: near zero it is large and harmless.
    """
    words = []
    if difference.total > 1:
        words.append(
            f"{difference.differing:,} of {difference.total:,} elements ({format_share(difference.share)})"
        )
    if difference.outside_tolerance != difference.differing:
        words.append(f"{difference.outside_tolerance:,} outside the tolerance")
    if difference.max_abs is not None:
        words.append(f"max abs {difference.max_abs:.3g}")
    if difference.max_rel is not None:
        words.append(f"max rel {difference.max_rel:.3g}")
    if difference.max_ulp is not None and difference.max_abs is not None:
        words.append(f"max ulp {difference.max_ulp:,}")
    if difference.non_finite:
        words.append(f"{difference.non_finite:,} with NaN or infinity")
    return ", ".join(words)


def format_share(share: float) -> str:
    """*share* (0 … 1) in percent; never 0 or 100 unless it is."""
    number = 100 * share
    text = f"{number:.3g}"
    if (text == "100" and number < 100) or (text == "0" and number > 0):
        text = ">99.9" if number > 50 else "<0.1"
    return f"{text} %"


def _format_first_values(difference: Difference, head: Mismatch) -> Iterator[str]:
    if difference.first_values is None:
        return
    index = f"first at {list(difference.first_index)}: " if difference.first_index else ""
    yield f"    {index}{difference.first_values[0]} {format_reference(head)}, {difference.first_values[1]} {format_in_run(head)}"
