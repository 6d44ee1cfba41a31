"""A heat map: in which rows and columns of an array elements differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from pytest_repro.core.compare.plot_data import Heatmap
from pytest_repro.metrics._arguments import format_percent
from pytest_repro.reports.html.scales import LEFT, RIGHT, Label, Plot, Scale, format_count, make_integer_ticks

_TOP, _MIN_HEIGHT, _MAX_HEIGHT = 8.0, 24.0, 128.0


class Cell(NamedTuple):
    """A cell with differing elements; *share* of its elements differ."""

    rows: range
    columns: range
    differing: int

    @property
    def share(self) -> float:
        """Differing elements / elements, above 0."""
        return self.differing / (len(self.rows) * len(self.columns))


@dataclass(frozen=True, slots=True)
class HeatmapPlot(Plot):
    """A tile for each cell with differing elements."""

    macro: ClassVar = "heatmap_plot"
    x: Scale
    y: Scale
    x_labels: list[Label]
    y_labels: list[Label]
    cells: list[Cell]


def list_cells(heatmap: Heatmap) -> list[Cell]:
    """The cells with differing elements, row by row."""
    counts = heatmap.counts
    rows = _divide(heatmap.shape[0], len(counts))
    columns = _divide(heatmap.shape[1], len(counts[0]))
    return [
        Cell(cell_rows, cell_columns, count)
        for cell_rows, row in zip(rows, counts)
        for cell_columns, count in zip(columns, row)
        if count
    ]


def _divide(size: int, parts: int) -> list[range]:
    """The indices 0 … *size* - 1 in *parts*: index i is in part i * parts // size."""
    edges = [-(-part * size // parts) for part in range(parts + 1)]
    return [range(start, stop) for start, stop in pairwise(edges)]


def make_heatmap_plot(ident: str, name: str, heatmap: Heatmap) -> HeatmapPlot:
    """The plot of *heatmap*, with at least one differing element."""
    rows, columns = heatmap.shape
    bottom = _TOP + min(max(_MIN_HEIGHT, 8.0 * len(heatmap.counts)), _MAX_HEIGHT)
    x, y = Scale(0, columns, LEFT, RIGHT), Scale(0, rows, _TOP, bottom)
    x_ticks = make_integer_ticks(0, columns)
    y_ticks = make_integer_ticks(0, rows, 3) if rows > 1 else []
    return HeatmapPlot(
        ident, f"Places of differing elements of {name}", describe_heatmap(heatmap), bottom, x, y,
        x.label(x_ticks, map(format_count, x_ticks)), y.label(y_ticks, map(format_count, y_ticks)),
        list_cells(heatmap),
    )  # fmt: skip


def describe_heatmap(heatmap: Heatmap) -> str:
    """What the plot shows, in sentences."""
    cells = list_cells(heatmap)
    rows, columns = heatmap.shape
    seen = "a vector" if rows == 1 else f"{rows:,} rows and {columns:,} columns"
    total = len(heatmap.counts) * len(heatmap.counts[0])
    densest = max(cells, key=lambda cell: cell.share)
    least = min(cells, key=lambda cell: cell.share)
    share = format_percent(densest.share)
    if len(cells) == total and least.share == 1:
        return f"The array as {seen}: all elements differ."
    spread = "in every cell" if len(cells) == total else f"in {len(cells):,} of {total:,} cells"
    if least.share == densest.share:
        return f"The array as {seen}: elements differ {spread}, {share} in each."
    where = _format_cell(densest, rows)
    return f"The array as {seen}: elements differ {spread}, most of all in {where} ({share})."


def iter_rows(heatmap: Heatmap, limit: int) -> Iterator[tuple[str, ...]]:
    """The cells with most differing elements as rows of a table: rows, columns, elements, share."""
    cells = sorted(list_cells(heatmap), key=lambda cell: (-cell.share, cell.rows.start, cell.columns.start))
    for cell in cells[:limit]:
        places = _format_range(cell.rows), _format_range(cell.columns)
        yield *places, f"{cell.differing:,}", format_percent(cell.share)


def _format_cell(cell: Cell, rows: int) -> str:
    if rows == 1:
        return _name_range("element", cell.columns)
    return f"{_name_range('row', cell.rows)}, {_name_range('column', cell.columns)}"


def _name_range(name: str, indices: range) -> str:
    return f"{name}{'s' if len(indices) > 1 else ''} {_format_range(indices)}"


def _format_range(indices: range) -> str:
    return f"{indices[0]:,}" if len(indices) == 1 else f"{indices[0]:,} to {indices[-1]:,}"
