"""The figures of a value that differs: its plots, each with its numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_repro.core.compare.plot_data import Heatmap, Histogram, Series
from pytest_repro.reports.html.distributions import describe_histogram, format_bin, make_histogram_plot
from pytest_repro.reports.html.heatmap import describe_heatmap, iter_rows, list_cells, make_heatmap_plot
from pytest_repro.reports.html.scales import Plot, format_number
from pytest_repro.reports.html.series import describe_series, make_distance_plot, make_series_plot

MAX_ROWS = 24
"""Rows of a table: those around the first difference, the others spread over the whole series."""

_ROWS_BEFORE, _ROWS_AFTER = 2, 9


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its caption and its numbers."""

    title: str
    plot: Plot
    css_class: Literal["along", "beside"]  # ``beside`` for a histogram beside the plots along steps
    description: str = ""  # ``""`` where the figure below has it
    head: tuple[str, ...] = ()  # column heads of the table; empty without a table
    rows: tuple[tuple[str, ...], ...] = ()  # a row that differs begins with ``≠``
    partial: bool = False  # whether the table leaves out rows


def make_figures(ident: str, row: Mapping[str, Any]) -> Iterator[Figure]:
    """The figures of a plot of :func:`~.page_data.make_page_data`; *ident* must be unique on the page."""
    name, sides = row["name"], tuple(row["sides"])
    series, histogram = _from_row(Series, row["series"]), _from_row(Histogram, row["histogram"])
    heatmap = _from_row(Heatmap, row["heatmap"])
    if series is not None and series.reference:
        plot = make_series_plot(f"{ident}-s", name, sides, series)
        yield Figure(f"{name} against {series.unit}", plot, "along")
    if series is not None:
        yield Figure(
            f"{'|a − b|' if series.reference else 'largest |a − b|'}, logarithmic",
            make_distance_plot(f"{ident}-d", name, sides, series),
            "along",
            describe_series(sides, series),
            (series.unit, *(sides if series.reference else ()), "|a − b|"),
            _make_rows(series),
            len(series.steps) > MAX_ROWS or len(series.steps) < series.total,
        )
    if heatmap is not None:
        yield Figure(
            "where elements differ",
            make_heatmap_plot(f"{ident}-w", name, heatmap),
            "along",
            describe_heatmap(heatmap),
            ("rows", "columns", "differing", "share"),
            tuple(iter_rows(heatmap, MAX_ROWS)),
            len(list_cells(heatmap)) > MAX_ROWS,
        )
    if histogram is not None:
        counts = enumerate(histogram.counts)
        yield Figure(
            "distance in ulp",
            make_histogram_plot(f"{ident}-u", name, histogram),
            "beside",
            describe_histogram(histogram),
            ("ulp", "elements"),
            tuple((format_bin(histogram, n), f"{count:,}") for n, count in counts if count),
        )


def _from_row(record: Any, row: Mapping[str, Any] | None) -> Any:
    if row is None:
        return None
    return record(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})


def _make_rows(series: Series) -> tuple[tuple[str, ...], ...]:
    first = series.steps.index(series.first_differing)
    near = range(max(0, first - _ROWS_BEFORE), min(len(series.steps), first + _ROWS_AFTER))
    rest = MAX_ROWS - len(near)
    spread = {round(n * (len(series.steps) - 1) / max(rest - 1, 1)) for n in range(rest)}
    return tuple(_make_row(series, index) for index in sorted({*near, *spread}))


def _make_row(series: Series, index: int) -> tuple[str, ...]:
    sign = "≠ " if series.differing[index] else ""
    values = (series.reference[index], series.other[index]) if series.reference else ()
    gap = series.distance[index]
    distance = "equal" if gap == 0 and not sign else format_number(gap, 4)
    return (f"{sign}{series.steps[index]:,}", *map(format_number, values), distance)
