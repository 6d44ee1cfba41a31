"""Plot of a value over seeds: a dot for each seed along an axis of values, stacked where values are close."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pytest_repro.reports.html.plots.scales import (
    RIGHT,
    Label,
    Scale,
    format_labels,
    format_number,
    make_ticks,
)

_LEFT, _TOP = 22, 8
_DOT_RADIUS = 3.2
_MAX_COLUMNS = 54
_MAX_LOOSE = 9
"""In columns of more dots the dots overlap."""


@dataclass(frozen=True, slots=True)
class StripPlot:
    """Where the dots are.

    Attributes:
        bottom: Lower edge of the plotting area.
        dots: x, y, and whether the test failed with this seed.
    """

    macro: ClassVar = "strip_plot"
    ident: str
    title: str
    description: str
    bottom: float
    x_labels: list[Label]
    dots: list[tuple[float, float, bool]]


def make_strip_plot(ident: str, name: str, values: Mapping[str, float], failed: Collection[str]) -> StripPlot:
    """The plot of one or more finite *values* by seed; *failed* are the seeds with which the test failed."""
    x = Scale(min(values.values()), max(values.values()), _LEFT + 6, RIGHT - 6)
    columns: dict[int, list[str]] = {}
    for seed in sorted(values, key=values.__getitem__):
        column = int((x(values[seed]) - x.start) / (x.stop - x.start) * _MAX_COLUMNS)
        columns.setdefault(column, []).append(seed)
    most = max(map(len, columns.values()))
    gap = 2 * _DOT_RADIUS * min(1, _MAX_LOOSE / most)
    bottom = _TOP + 2 * _DOT_RADIUS + gap * (most - 1) + 8
    ticks = make_ticks(x.low, x.high, 5)
    return StripPlot(
        ident,
        f"{name} by seed",
        describe_strip(values, failed),
        bottom,
        x.label(ticks, format_labels(ticks)),
        [
            (x(values[seed]), bottom - 8 - gap * height, seed in failed)
            for column in columns.values()
            for height, seed in enumerate(column)
        ],
    )


def describe_strip(values: Mapping[str, float], failed: Collection[str]) -> str:
    """What the plot shows, in a sentence."""
    least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    low, high = format_number(values[least], 4), format_number(values[most], 4)
    crossed = sum(seed in values for seed in failed)
    crosses = f"; × where the test failed, {crossed}" if crossed else ""
    return f"{len(values)} seeds, from {low} (seed {least}) to {high} (seed {most}){crosses}."
