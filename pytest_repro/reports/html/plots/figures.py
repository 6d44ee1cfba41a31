"""The drawings of a picture, each with its numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_repro.core.compare.plot_data import Histogram, Series
from pytest_repro.reports.html.page_data import Plot
from pytest_repro.reports.html.plots import series as along
from pytest_repro.reports.html.plots import ulp_histogram
from pytest_repro.reports.html.plots.ticks import format_number

MAX_ROWS = 24
"""Rows of a table: those around the first difference, and some over the whole."""

_ROWS_BEFORE, _ROWS_AFTER = 2, 9


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing, with what is said of it.

    Attributes:
        title: What it shows.
        svg: Markup.
        css_class: ``"along"`` steps, or ``"beside"`` those that are.
        description: What can be seen, in sentences; ``""`` where the figure below says it.
        head: Column heads of its numbers.
        rows: Its numbers; a row that differs begins with ``≠``.
        partial: Whether these are some of many.
    """

    title: str
    svg: str
    css_class: str
    description: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    partial: bool = False


def make_figures(ident: str, plot: Plot) -> Iterator[Figure]:
    """Series, distance and histogram, as far as there are any.

    Args:
        ident: Of its own on the page.
        plot: What can be drawn.
    """
    found, name, sides = plot.series, plot.name, plot.sides
    if found is not None:
        head = (found.unit, *(sides if found.reference else ()), "|a − b|")
        rows, part = _make_rows(found), len(found.steps) > MAX_ROWS or len(found.steps) < found.total
        told = along.describe_series(sides, found)
        if found.reference:
            svg = along.draw_series(f"{ident}-s", name, sides, found)
            yield Figure(f"{name} against {found.unit}", svg, "along")
        gap = "|a − b|" if found.reference else "largest |a − b|"
        svg = along.draw_distance(f"{ident}-d", name, sides, found)
        yield Figure(f"{gap}, logarithmic", svg, "along", told, head, rows, part)
    if plot.histogram is not None:
        yield _make_ulp_figure(f"{ident}-u", name, plot.histogram)


def _make_ulp_figure(ident: str, name: str, histogram: Histogram) -> Figure:
    rows = tuple(
        (ulp_histogram.format_bin(histogram, n), f"{count:,}")
        for n, count in enumerate(histogram.counts)
        if count
    )
    svg = ulp_histogram.draw_histogram(ident, name, histogram)
    return Figure(
        "distance in ulp",
        svg,
        "beside",
        ulp_histogram.describe_histogram(histogram),
        ("ulp", "elements"),
        rows,
    )


def _make_rows(series: Series) -> tuple[tuple[str, ...], ...]:
    first = series.steps.index(series.first_differing)
    near = range(max(0, first - _ROWS_BEFORE), min(len(series.steps), first + _ROWS_AFTER))
    rest = MAX_ROWS - len(near)
    far = {round(n * (len(series.steps) - 1) / max(rest - 1, 1)) for n in range(rest)}
    return tuple(_make_row(series, place) for place in sorted({*near, *far}))


def _make_row(series: Series, index: int) -> tuple[str, ...]:
    sign = "≠ " if series.differing[index] else ""
    both = (series.reference[index], series.other[index]) if series.reference else ()
    gap = series.distance[index]
    far = "equal" if gap == 0 and not sign else format_number(gap, 4)
    return (f"{sign}{series.steps[index]:,}", *map(format_number, both), far)
