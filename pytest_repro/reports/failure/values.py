"""The part of a failure text about values: what differs and by how much."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from pytest_repro.core.compare.mismatch import Difference, Mismatch, TokenDivergence
from pytest_repro.core.compare.table import TableDifference, count_rows, is_inside
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import wrap_labelled
from pytest_repro.reports.failure.runs import format_differing_runs, format_in_run, format_reference
from pytest_repro.reports.failure.tables import format_table

MAX_FULL_TEXTS = 6
"""Observations described in full; of the others only the names are shown."""

_MAX_NAMES = 8
_MAX_EXACT_ULPS = 2**24


def format_mismatches(mismatches: Sequence[Mismatch], verdict: Verdict) -> Iterator[str]:
    """What differs, by observation; *mismatches* are those of *verdict* except outcomes."""
    by_name: dict[str, list[Mismatch]] = {}
    for mismatch in mismatches:
        by_name.setdefault(mismatch.name, []).append(mismatch)
    heads = _select_family_heads(by_name, verdict)
    for name in heads[:MAX_FULL_TEXTS]:
        yield from _format_observation(name, by_name, verdict)
    if more := heads[MAX_FULL_TEXTS:]:
        yield from format_other_names(more)


def format_other_names(names: Sequence[str]) -> Iterator[str]:
    """The line for observations of which only the names are shown."""
    return wrap_labelled("also", format_list(names, _MAX_NAMES))


def _get_family(mismatch: Mismatch, verdict: Verdict) -> tuple[str, str]:
    """The same for all steps of a series, all elements of a list and all of a table, described once."""
    if (table := _find_table(mismatch, verdict)) is not None:
        return mismatch.series, f"{table.path} "
    if mismatch.problem == "kind":  # with other rows, all of its columns have another length
        for each in verdict.mismatches:
            same = (each.series, each.step, each.problem) == (mismatch.series, mismatch.step, "kind")
            if same and count_rows(each.kind) is not None and is_inside(mismatch.path, each.path):
                return mismatch.series, f"{each.path} "
    return mismatch.series, re.sub(r"\[\d+\]$", "[]", mismatch.path)


def _find_table(mismatch: Mismatch, verdict: Verdict) -> TableDifference | None:
    key = mismatch.series, mismatch.step, mismatch.path
    return next((table for table in verdict.tables if table.holds(key)), None)


def _select_family_heads(by_name: dict[str, list[Mismatch]], verdict: Verdict) -> list[str]:
    """Of each series the first step that differs, of each list the first element."""
    heads: dict[tuple[str, str], str] = {}
    for name, (mismatch, *_) in by_name.items():
        family = _get_family(mismatch, verdict)
        if family not in heads or mismatch.step < by_name[heads[family]][0].step:
            heads[family] = name
    return list(heads.values())


def _format_observation(name: str, by_name: dict[str, list[Mismatch]], verdict: Verdict) -> Iterator[str]:
    """One observation; the numbers are those of the first run that differs."""
    head = by_name[name][0]
    family = [
        found[0] for found in by_name.values() if _get_family(found[0], verdict) == _get_family(head, verdict)
    ]
    runs = format_differing_runs(by_name[name], verdict.runs)
    sides = format_reference(head), format_in_run(head)
    if (table := _find_table(head, verdict)) is not None:
        yield f"  {table.name}   {table.kind}   {runs}"
        inside = [each for each in family if table.holds((each.series, each.step, each.path))]
        yield from format_table(table, inside, *sides, format_distance)
        yield from _format_rest_of_family(head, family, verdict.steps.get(head.series, 0), is_list=False)
        return
    yield f"  {head.name}   {head.kind}   {runs}"
    yield from format_mismatch(head, *sides)
    if head.difference is not None and head.difference.token_divergence is not None:
        yield from _format_token_divergence(head.difference.token_divergence, sides[0])
    is_list = len(family) == 1 or count_rows(head.kind) is None
    yield from _format_rest_of_family(head, family, verdict.steps.get(head.series, 0), is_list)


def _format_rest_of_family(
    head: Mismatch, family: Sequence[Mismatch], steps: int, is_list: bool = True
) -> Iterator[str]:
    """How many later steps of the series and elements of the list differ."""
    elements = len({mismatch.path for mismatch in family}) - 1
    if elements and is_list:
        name = re.sub(r"\[\d+\]$", "", head.name)
        yield f"    {elements} more element{'s' * (elements > 1)} of {name} differ{'s' * (elements == 1)} too"
    if steps > 1:
        later = len({mismatch.step for mismatch in family}) - 1
        steps_differ = "step differs" if later == 1 else "steps differ"
        after = f", {later} later {steps_differ} too" if later else ""
        yield f"    first differing step of {head.series}: {head.step} (0 to {steps - 1}){after}"


def _format_token_divergence(divergence: TokenDivergence, reference: str) -> Iterator[str]:
    """How close the two tokens were in the run *reference*, and how they were sampled."""
    words, gap, top_gap = [], divergence.gap, divergence.top_gap
    if gap is not None:
        words.append(f"their logits are {'NaN' if math.isnan(gap) else f'{gap:.3g} apart'}")
    if top_gap is not None:
        far = f"the largest {top_gap:.3g} above the second"
        words.append("some logits are NaN" if math.isnan(top_gap) else far)
    if words:
        yield f"    {reference} {', '.join(words)}"
    if divergence.sampling:
        settings = ", ".join(f"{name} {value}" for name, value in divergence.sampling.items())
        yield f"    sampled with {settings}"


def format_mismatch(mismatch: Mismatch, reference: str, other: str) -> Iterator[str]:
    """What one value is on both sides: ``in run 1`` and ``in run 3``."""
    if mismatch.problem == "kind":
        yield f"    {mismatch.kind} {reference}, {mismatch.other_kind} {other}"
    elif mismatch.problem == "missing":
        yield f"    recorded {other if mismatch.other_kind else reference} only"
    elif mismatch.difference is None:
        yield f"    {mismatch.detail}"
    else:
        yield from format_difference(mismatch.difference, reference, other)


def format_difference(difference: Difference, reference: str, other: str) -> Iterator[str]:
    """How far, and the first element that differs: ``0.3 in run 1, 0.31 in run 3``."""
    if distance := format_distance(difference):
        yield f"    {distance}"
    if difference.first_values is not None:
        index = f"first at {list(difference.first_index)}: " if difference.first_index else ""
        yield f"    {index}{difference.first_values[0]} {reference}, {difference.first_values[1]} {other}"


def format_distance(difference: Difference) -> str:
    """``1 of 4 elements (25 %), max abs 3.6e-05, max rel 0.00012, max ulp 12``.

    Never shows ulp without the absolute distance: near zero, ulp are many and harmless.
    """
    words = []
    if difference.total > 1:
        share = format_share(difference.share)
        words.append(f"{difference.differing:,} of {difference.total:,} elements ({share})")
    if difference.outside_tolerance != difference.differing:
        words.append(f"{difference.outside_tolerance:,} outside the tolerance")
    if difference.max_abs is not None:
        words.append(f"max abs {difference.max_abs:.3g}")
    if difference.max_rel is not None:
        words.append(f"max rel {difference.max_rel:.3g}")
    if difference.max_ulp is not None and difference.max_abs is not None:
        words.append(f"max ulp {_format_ulps(difference.max_ulp)}")
    if difference.non_finite:
        words.append(f"{difference.non_finite:,} with NaN or infinity")
    return ", ".join(words)


def _format_ulps(number: int) -> str:
    """``1,207``; of a number that says only that values are far apart its size: ``over 2**51``."""
    return f"{number:,}" if number <= _MAX_EXACT_ULPS else f"over 2**{(number - 1).bit_length() - 1}"


def format_max_abs(difference: Difference | None) -> str:
    """``, max abs 0.454``; ``""`` if unknown."""
    max_abs = None if difference is None else difference.max_abs
    return "" if max_abs is None else f", max abs {max_abs:.3g}"


def format_differing_names(first: str, count: int) -> str:
    """``loss[5] and 16 more differ``, ``loss differs``."""
    return f"{first} and {count - 1:,} more differ" if count > 1 else f"{first} differs"


def format_share(share: float) -> str:
    """*share* (0 … 1) in percent; never 0 or 100 unless it is."""
    text = f"{100 * share:.3g}"
    if (text == "100" and share < 1) or (text == "0" and share > 0):
        text = ">99.9" if share > 0.5 else "<0.1"
    return f"{text} %"
