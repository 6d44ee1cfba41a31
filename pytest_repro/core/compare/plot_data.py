"""What a plot of a difference shows: series against step, and how far elements are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Any, Literal

MAX_POINTS = 400
"""Most points of a series that are kept."""

MAX_CELLS = 16, 48
"""Most rows and columns of cells of a heat map."""

_POINTS_PER_SPAN = 6
# Of each span: minimum and maximum of both runs, largest distance, first value that is not finite.

Number = float | None


@dataclass(frozen=True, slots=True)
class Series:
    """A series of numbers, in the reference run and in another; None where there is no number."""

    unit: Literal["step", "element"]  # of *steps*: of a series, or elements of a list or vector
    steps: tuple[int, ...]  # the steps that are kept, ascending, from 0
    reference: tuple[Number, ...]  # empty if the values are arrays, of which only the distance is known
    other: tuple[Number, ...]
    distance: tuple[Number, ...]  # ``|other - reference|``, the largest over an array
    differing: tuple[bool, ...]  # given the tolerance
    first_differing: int  # a step
    total: int  # number of steps before some were dropped


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many elements differ by how many representable numbers of their dtype."""

    edges: tuple[int, ...]  # start of each bin, and the end of the last; an end is not part of its bin
    counts: tuple[int, ...]  # elements in each bin, one fewer than *edges*
    total: int  # elements compared, including equal ones
    non_finite: int = 0  # differing elements with a NaN or an infinity on either side, in no bin


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Where elements differ, in an array seen as a matrix: its first axis, and all others as one."""

    shape: tuple[int, int]  # rows and columns of the matrix; a vector is one row
    counts: tuple[tuple[int, ...], ...]  # differing elements in each cell of :func:`get_cells`, row by row


@dataclass(frozen=True, slots=True)
class PlotData:
    """What a plot of one observation shows, in one run that differs."""

    name: str  # ``loss``, ``model.head.weight``
    axis: str  # what was varied
    value: object  # of the other run on that axis
    repeat_of: tuple[str, object] | None  # as in a mismatch
    kind: str  # dtype and shape in the reference run
    series: Series | None  # None if there is a single step
    histogram: Histogram | None  # None without units in the last place, or if values are not stored
    heatmap: Heatmap | None = None  # of an array that is not drawn as a series


def get_matrix_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of an array of *shape*, which has at least one axis, seen as a matrix."""
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, shape[0])


def get_cells(matrix_shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the cells into which a matrix is divided as evenly as possible."""
    return min(matrix_shape[0], MAX_CELLS[0]), min(matrix_shape[1], MAX_CELLS[1])


def build_ulp_histogram(counts: Sequence[int], total: int, non_finite: int) -> Histogram | None:
    """The bins from the first to the last that is not empty; None if all are empty.

    *counts* are numbers of elements by the bits of their distance: 0, 1, 2 to 3, 4 to 7, … ulp.
    """
    filled = [bits for bits, count in enumerate(counts) if count]
    if not filled:
        return None
    bins = range(filled[0], filled[-1] + 1)
    edges = tuple((1 << bits) >> 1 for bits in (*bins, bins.stop))
    return Histogram(edges, tuple(counts[bits] for bits in bins), total, non_finite)


def add_counts(counts: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The elementwise sum; shorter sequences are padded with 0."""
    return tuple(map(sum, zip_longest(*counts, fillvalue=0)))


def downsample(series: Series, max_points: int = MAX_POINTS) -> Series:
    """*series* with at most *max_points* steps, which are at least 16, and the same shape.

    It keeps the first and the last step, the first that differs and the one before it, and the extremes of
    every line in spans of equal length.
    """
    if len(series.steps) <= max_points:
        return series
    first = series.steps.index(series.first_differing)
    indices = {0, len(series.steps) - 1, first, max(0, first - 1)}
    spans = (max_points - len(indices)) // _POINTS_PER_SPAN
    for number in range(spans):
        start, stop = (len(series.steps) * n // spans for n in (number, number + 1))
        indices.update(_select_points(series, range(start, stop)))
    kept = sorted(indices)
    names = ("steps", "reference", "other", "distance", "differing")
    lines = {name: getattr(series, name) for name in names}
    changes: dict[str, Any] = {name: tuple(line[i] for i in kept) for name, line in lines.items() if line}
    return replace(series, **changes)


def _select_points(series: Series, span: range) -> Iterator[int]:
    """Indices in *span* that its shape depends on."""
    lines = [line for line in (series.reference, series.other, series.distance) if line]
    for line in lines:
        finite = [i for i in span if _is_finite(line[i])]
        extremes: tuple[Callable[..., int], ...] = (max,) if line is series.distance else (min, max)
        if finite:
            yield from (choose(finite, key=line.__getitem__) for choose in extremes)
    yield from islice((i for i in span if not all(_is_finite(line[i]) for line in lines)), 1)


def _is_finite(value: Number) -> bool:
    return value is not None and math.isfinite(value)
