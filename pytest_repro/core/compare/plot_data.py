"""What of a difference can be drawn: series against step, and how far elements are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

MAX_POINTS = 400
"""Points of a series that are kept."""

_POINTS_PER_SPAN = 6
# Of each span: smallest and largest of both runs, the furthest apart, the first that is no number.

Number = float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One number after the other, in the reference run and in another.

    Attributes:
        unit: What *steps* counts: the steps of a series, or the elements of a list or vector.
        steps: Those that are kept, ascending, from 0.
        reference: The number of the reference run at each; None where it has none. Empty where the
            values are arrays, of which only the distance is known.
        other: The same of the other run.
        distance: ``|theirs - ours|``, the largest over an array; None where that cannot be said.
        differing: Whether each counts as differing, within the tolerance asked.
        first_differing: The first step that differs.
        total: Number of steps before any were left out.
    """

    unit: Literal["step", "element"]
    steps: tuple[int, ...]
    reference: tuple[Number, ...]
    other: tuple[Number, ...]
    distance: tuple[Number, ...]
    differing: tuple[bool, ...]
    first_differing: int
    total: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many elements differ by how many representable numbers of their dtype.

    Attributes:
        edges: Where each bin begins, and the last one ends; the end is not in the bin.
        counts: Elements in each bin, one fewer than edges.
        total: Elements compared, equal ones included.
        non_finite: Elements that differ and of which one or both are NaN or infinite; in no bin.
    """

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    total: int
    non_finite: int = 0


@dataclass(frozen=True, slots=True)
class PlotData:
    """What of one observation, in one run that differs, can be drawn.

    Attributes:
        name: ``loss``, ``model.head.weight``.
        axis: What was varied.
        value: The setting of the other run.
        repeat_of: Of two runs that differ away from the reference: their axis and value.
        kind: dtype and shape in the reference run.
        series: Against step; None where there is one step.
        histogram: None where the dtype has no units in the last place, or no values were kept.
    """

    name: str
    axis: str
    value: object
    repeat_of: tuple[str, object] | None
    kind: str
    series: Series | None
    histogram: Histogram | None


def build_ulp_histogram(counts: Sequence[int], total: int, non_finite: int) -> Histogram | None:
    """The bins that are filled, and what is between them; None where all are empty.

    Args:
        counts: Elements by the bits of their distance: 0, 1, 2 to 3, 4 to 7, … ulp.
        total: Elements compared.
        non_finite: Differing elements that are in no bin.
    """
    filled = [bits for bits, count in enumerate(counts) if count]
    if not filled:
        return None
    bins = range(filled[0], filled[-1] + 1)
    edges = tuple((1 << bits) >> 1 for bits in (*bins, bins.stop))
    return Histogram(edges, tuple(counts[bits] for bits in bins), total, non_finite)


def add_counts(counts: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The sums, place by place; of a shorter one the rest is 0."""
    sums: list[int] = []
    for each in counts:
        sums += [0] * (len(each) - len(sums))
        for place, count in enumerate(each):
            sums[place] += count
    return tuple(sums)


def downsample(series: Series, max_points: int = MAX_POINTS) -> Series:
    """*series* with at most *max_points* of its steps, its shape kept.

    The first and the last step stay, the first that differs and the one before it, and of each of
    some spans of equal length the extremes of every line in it.

    Args:
        series: Of any length.
        max_points: At least 16.
    """
    if len(series.steps) <= max_points:
        return series
    kept = {0, len(series.steps) - 1}
    first = series.steps.index(series.first_differing)
    kept |= {first, max(0, first - 1)}
    spans = (max_points - len(kept)) // _POINTS_PER_SPAN
    for number in range(spans):
        start, stop = (len(series.steps) * n // spans for n in (number, number + 1))
        kept |= set(_select_points(series, range(start, stop)))
    return _keep_points(series, sorted(kept))


def _select_points(series: Series, span: range) -> Iterator[int]:
    """Places of *span* without which its shape would be another."""
    lines = [line for line in (series.reference, series.other) if line]
    for line in lines:
        yield from _find_extreme(line, span, min)
        yield from _find_extreme(line, span, max)
    yield from _find_extreme(series.distance, span, max)
    odd = (i for i in span if any(_finite_or_none(line[i]) is None for line in (*lines, series.distance)))
    yield from [place for place in [next(odd, None)] if place is not None]


def _find_extreme(line: Sequence[Number], span: range, choose: Callable[..., int]) -> Iterator[int]:
    finite = [i for i in span if _finite_or_none(line[i]) is not None]
    if finite:
        yield choose(finite, key=line.__getitem__)


def _finite_or_none(value: Number) -> Number:
    return value if value is not None and math.isfinite(value) else None


def _keep_points(series: Series, indices: Sequence[int]) -> Series:
    return replace(
        series,
        steps=tuple(series.steps[i] for i in indices),
        reference=tuple(series.reference[i] for i in indices) if series.reference else (),
        other=tuple(series.other[i] for i in indices) if series.other else (),
        distance=tuple(series.distance[i] for i in indices),
        differing=tuple(series.differing[i] for i in indices),
    )
