"""Plots of distributions: elements by distance in ulp as a histogram, a value by seed as a strip of dots."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pytest_repro.core.compare.plot_data import Histogram
from pytest_repro.reports.html import scales
from pytest_repro.reports.html.scales import LEFT, RIGHT, Label, Plot, Scale, format_number

_MAX_BAR_LABELS = 7
_MAX_BINS_WITH_COUNT = 6

_STRIP_LEFT, _STRIP_TOP = 22, 8
_DOT_RADIUS = 3.2
_MAX_COLUMNS = 54
_MAX_LOOSE = 9  # in columns of more dots the dots overlap


class Bar(NamedTuple):
    """A bar; *count_label* above it and *label* below it are ``""`` where there is no room."""

    x: float
    y: float
    width: float
    height: float
    count_label: str
    label: str


@dataclass(frozen=True, slots=True)
class HistogramPlot(Plot):
    """A bar for each power of two."""

    macro: ClassVar = "histogram_plot"
    top: float
    y_labels: list[Label]
    bars: list[Bar]


def make_histogram_plot(ident: str, name: str, histogram: Histogram) -> HistogramPlot:
    """The plot of a histogram with at least one element."""
    top, bottom = 22.0, 134.0
    y = Scale(0, max(histogram.counts), bottom, top)
    ticks = scales.make_integer_ticks(0, max(histogram.counts), 4)
    return HistogramPlot(
        ident,
        f"Elements of {name} by distance in ulp",
        describe_histogram(histogram),
        bottom,
        top,
        y.label(ticks, map(scales.format_count, ticks)),
        list(_make_bars(histogram, y)),
    )


def _make_bars(histogram: Histogram, y: Scale) -> Iterator[Bar]:
    bins = len(histogram.counts)
    room = (RIGHT - LEFT - 12) / max(bins, 4)
    stride = -(-bins // _MAX_BAR_LABELS)
    for index, number in enumerate(histogram.counts):
        height = max(y.start - y(number), 2.0) if number else 0.0
        label = format_bin(histogram, index) if bins <= 4 else scales.format_ulp(histogram.edges[index])
        yield Bar(
            LEFT + 6 + (index + 0.08) * room,
            y.start - height,
            room * 0.84,
            height,
            scales.format_count(number) if number and bins <= _MAX_BINS_WITH_COUNT else "",
            "" if index % stride else label,
        )


def format_bin(histogram: Histogram, index: int) -> str:
    """The distances in a bin: ``1``, ``2 to 3``, ``2¹⁰ to 2¹¹``."""
    start, stop = histogram.edges[index], histogram.edges[index + 1]
    last = stop - 1 if stop <= 1024 else stop
    return scales.format_ulp(start) + (f" to {scales.format_ulp(last)}" if stop - start > 1 else "")


def describe_histogram(histogram: Histogram) -> str:
    """What the plot shows, in sentences."""
    counts, most = histogram.counts, max(histogram.counts)
    differing, distance = sum(counts) + histogram.non_finite, format_bin(histogram, counts.index(most))
    is_majority = 2 * most > differing
    text = (
        f"{differing:,} of {histogram.total:,} elements differ, "
        + (f"most of them ({most:,}) by" if is_majority else f"most often ({most:,} times) by")
        + f" {distance} ulp, at most by {format_bin(histogram, len(counts) - 1)} ulp."
    )
    if histogram.non_finite:
        text += f" {histogram.non_finite:,} are NaN or infinite in one run or both and are not drawn."
    return text


@dataclass(frozen=True, slots=True)
class StripPlot(Plot):
    """A dot for each seed along an axis of values, stacked where values are close."""

    macro: ClassVar = "strip_plot"
    x_labels: list[Label]
    dots: list[tuple[float, float, bool]]  # x, y, and whether the test failed with this seed


def make_strip_plot(ident: str, name: str, values: Mapping[str, float], failed: Collection[str]) -> StripPlot:
    """The plot of one or more finite *values* by seed; *failed* are the seeds with which the test failed."""
    x = Scale(min(values.values()), max(values.values()), _STRIP_LEFT + 6, RIGHT - 6)
    columns: dict[int, list[str]] = {}
    for seed in sorted(values, key=values.__getitem__):
        column = int((x(values[seed]) - x.start) / (x.stop - x.start) * _MAX_COLUMNS)
        columns.setdefault(column, []).append(seed)
    most = max(map(len, columns.values()))
    gap = 2 * _DOT_RADIUS * min(1, _MAX_LOOSE / most)
    bottom = _STRIP_TOP + 2 * _DOT_RADIUS + gap * (most - 1) + 8
    ticks = scales.make_ticks(x.low, x.high)
    dots = [
        (x(values[seed]), bottom - 8 - gap * height, seed in failed)
        for column in columns.values()
        for height, seed in enumerate(column)
    ]
    description = describe_strip(values, failed)
    x_labels = x.label(ticks, scales.format_labels(ticks))
    return StripPlot(ident, f"{name} by seed", description, bottom, x_labels, dots)


def describe_strip(values: Mapping[str, float], failed: Collection[str]) -> str:
    """What the plot shows, in a sentence."""
    least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    low, high = format_number(values[least], 4), format_number(values[most], 4)
    crossed = sum(seed in values for seed in failed)
    crosses = f"; × where the test failed, {crossed}" if crossed else ""
    return f"{len(values)} seeds, from {low} (seed {least}) to {high} (seed {most}){crosses}."
