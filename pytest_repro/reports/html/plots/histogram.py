"""Plot of how many elements are how many representable numbers (ulp) apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pytest_repro.core.compare.plot_data import Histogram
from pytest_repro.reports.html.plots.scales import (
    LEFT,
    RIGHT,
    Label,
    Scale,
    format_count,
    format_ulp,
    make_integer_ticks,
)

_MAX_LABELS = 7
_MAX_BINS_WITH_COUNT = 6


class Bar(NamedTuple):
    """A bar; *count_label* above it and *label* below it are ``""`` where there is no room."""

    x: float
    y: float
    width: float
    height: float
    count_label: str
    label: str


@dataclass(frozen=True, slots=True)
class HistogramPlot:
    """A bar for each power of two."""

    macro: ClassVar = "histogram_plot"
    ident: str
    title: str
    description: str
    top: float
    bottom: float
    y_labels: list[Label]
    bars: list[Bar]


def make_histogram_plot(ident: str, name: str, histogram: Histogram) -> HistogramPlot:
    """The plot of a histogram with at least one element."""
    top, bottom = 22.0, 134.0
    most = max(histogram.counts)
    y = Scale(0, most, bottom, top)
    ticks = make_integer_ticks(0, most, 4)
    return HistogramPlot(
        ident,
        f"Elements of {name} by distance in ulp",
        describe_histogram(histogram),
        top,
        bottom,
        y.label(ticks, map(format_count, ticks)),
        list(_make_bars(histogram, y)),
    )


def _make_bars(histogram: Histogram, y: Scale) -> Iterator[Bar]:
    bins = len(histogram.counts)
    room = (RIGHT - LEFT - 12) / max(bins, 4)
    stride = -(-bins // _MAX_LABELS)
    for index, number in enumerate(histogram.counts):
        height = max(y.start - y(number), 2.0) if number else 0.0
        label = format_bin(histogram, index) if bins <= 4 else format_ulp(histogram.edges[index])
        yield Bar(
            LEFT + 6 + (index + 0.08) * room,
            y.start - height,
            room * 0.84,
            height,
            format_count(number) if number and bins <= _MAX_BINS_WITH_COUNT else "",
            "" if index % stride else label,
        )


def format_bin(histogram: Histogram, index: int) -> str:
    """The distances in a bin: ``1``, ``2 to 3``, ``2¹⁰ to 2¹¹``."""
    start, stop = histogram.edges[index], histogram.edges[index + 1]
    if stop - start <= 1:
        return format_ulp(start)
    return f"{format_ulp(start)} to {format_ulp(stop - 1) if stop <= 1024 else format_ulp(stop)}"


def describe_histogram(histogram: Histogram) -> str:
    """What the plot shows, in sentences."""
    differing = sum(histogram.counts) + histogram.non_finite
    most = max(histogram.counts)
    text = (
        f"{differing:,} of {histogram.total:,} elements differ, most of them ({most:,}) by "
        f"{format_bin(histogram, histogram.counts.index(most))} ulp, at most by "
        f"{format_bin(histogram, len(histogram.counts) - 1)} ulp."
    )
    if histogram.non_finite:
        text += f" {histogram.non_finite:,} are NaN or infinite in one run or both and are not drawn."
    return text
