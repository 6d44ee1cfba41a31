"""Plots of a series: both runs against step, and their distance on a logarithmic axis."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pytest_repro.core.compare.plot_data import Number, Series
from pytest_repro.reports.failure import plural
from pytest_repro.reports.html import scales
from pytest_repro.reports.html.scales import LEFT, RIGHT, Label, Plot, Scale, format_number

Point = tuple[float, float]

_MAX_DOTS = 60  # a series of at most this many steps has a dot at each
_MAX_CROSSES = 40


class StepAxis(NamedTuple):
    """The horizontal axis: *first* is where the runs first differ, and what is after it is tinted."""

    scale: Scale
    labels: list[Label]
    unit: str
    first: float


class Line(NamedTuple):
    """A line in pieces: a value that is None or not finite interrupts it."""

    kind: str
    pieces: list[list[Point]]
    dots: list[Point]


class Crosses(NamedTuple):
    """Crosses at the height *y* for values that cannot be drawn, with one label for all."""

    kind: str
    y: float
    x: list[float]
    label: str


@dataclass(frozen=True, slots=True)
class StepPlot(Plot):
    """A plot along steps."""

    macro: ClassVar = "step_plot"
    top: float  # upper edge of the plotting area
    x: StepAxis
    y_labels: list[Label]
    first_label: str  # ``""`` where the plot above has it
    lines: list[Line]
    crosses: list[Crosses]
    legend: tuple[str, ...] = ()  # names of both runs, or none


def make_series_plot(ident: str, name: str, sides: tuple[str, str], series: Series) -> StepPlot:
    """Both runs against step; *sides* are their names."""
    top, bottom = 42.0, 176.0
    x = _make_step_axis(series)
    runs = {"ours": series.reference, "theirs": series.other}
    finite = {kind: [_finite_or_none(value) for value in values] for kind, values in runs.items()}
    known = [value for values in finite.values() for value in values if value is not None] or [0.0]
    y = _make_padded_scale(min(known), max(known), bottom, top)
    ticks = scales.make_ticks(y.low, y.high)
    crosses = [_make_non_finite_crosses(kind, series, values, x.scale, top) for kind, values in runs.items()]
    return StepPlot(
        ident,
        f"{name} against {series.unit}, {sides[0]} and {sides[1]}",
        describe_series(sides, series),
        bottom,
        top,
        x,
        y.label(ticks, scales.format_labels(ticks)),
        _format_first_label(series),
        [_make_line(kind, series.steps, values, x.scale, y) for kind, values in finite.items()],
        [row for row in crosses if row.x],
        sides,
    )


def make_distance_plot(ident: str, name: str, sides: tuple[str, str], series: Series) -> StepPlot:
    """``|b - a|`` against step on a logarithmic axis, with a line of its own below for equal values."""
    top, floor, bottom = 8.0 if series.reference else 24.0, 108.0, 138.0
    x = _make_step_axis(series)
    gaps = [gap for gap in series.distance if gap]
    exponents = scales.make_decades(min(gaps), max(gaps)) if gaps else [0]
    y = Scale(exponents[0], exponents[-1], floor, top + 6)
    powers = y.label(exponents, (scales.format_power(10, each) for each in exponents)) if gaps else []
    logs = [math.log10(gap) if gap else None for gap in series.distance]
    # Different bits may stand for the same number.
    same_number = any(differs and gap == 0 for differs, gap in zip(series.differing, series.distance))
    unknown = [x.scale(step) for step, gap in zip(series.steps, series.distance) if gap is None]
    what = "|a − b|" if series.reference else "largest |a − b| of the elements"
    return StepPlot(
        ident,
        f"{what} of {name} against {series.unit}, logarithmic",
        describe_series(sides, series),
        bottom,
        top,
        x,
        [*powers, (bottom - 9, "0" if same_number else "equal")],
        "" if series.reference else _format_first_label(series),
        [_make_equal_line(series, x.scale, bottom - 9), _make_line("gap", series.steps, logs, x.scale, y)],
        [Crosses("theirs", top + 12, unknown[:_MAX_CROSSES], "no distance")] if unknown else [],
    )


def _finite_or_none(value: Number) -> Number:
    return value if value is not None and math.isfinite(value) else None


def _make_step_axis(series: Series) -> StepAxis:
    first, last = series.steps[0], series.steps[-1]
    low, high = (first, last) if last > first else (first - 1, first + 1)
    scale = Scale(low, high, LEFT + 6, RIGHT - 6)
    ticks = scales.make_integer_ticks(first, last, 6)
    labels = scale.label(ticks, (f"{tick:,}" for tick in ticks))
    return StepAxis(scale, labels, series.unit, scale(series.first_differing))


def _make_padded_scale(low: float, high: float, start: float, stop: float) -> Scale:
    padding = (high / 2 - low / 2) * 0.12 or abs(high) * 0.05 or 1.0
    largest = sys.float_info.max
    return Scale(max(low - padding, -largest), min(high + padding, largest), start, stop)


def _format_first_label(series: Series) -> str:
    return f"first differs at {series.unit} {series.first_differing:,}"


def _make_line(kind: str, steps: Sequence[int], values: Sequence[Number], x: Scale, y: Scale) -> Line:
    pieces = _split((x(step), y(value)) if value is not None else None for step, value in zip(steps, values))
    dots = [point for piece in pieces if len(piece) == 1 or len(steps) <= _MAX_DOTS for point in piece]
    return Line(kind, [piece for piece in pieces if len(piece) > 1], dots)


def _make_equal_line(series: Series, x: Scale, y: float) -> Line:
    pieces = _split((x(step), y) if gap == 0 else None for step, gap in zip(series.steps, series.distance))
    return Line("equal", [[(piece[0][0] - 2, y), (piece[-1][0] + 2, y)] for piece in pieces], [])


def _split(points: Iterable[Point | None]) -> list[list[Point]]:
    pieces: list[list[Point]] = [[]]
    for point in points:
        if point is not None:
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _make_non_finite_crosses(
    kind: str, series: Series, values: Sequence[Number], x: Scale, top: float
) -> Crosses:
    """Crosses at the upper edge, labelled with the first of the values: ``NaN``."""
    odd = [(x(step), v) for step, v in zip(series.steps, values) if v is not None and not math.isfinite(v)]
    label = format_number(odd[0][1]) if odd else ""
    return Crosses(kind, top + (12 if kind == "ours" else 24), [at for at, _ in odd[:_MAX_CROSSES]], label)


def describe_series(sides: tuple[str, str], series: Series) -> str:
    """What both plots show, in sentences."""
    first, unit = series.first_differing, series.unit
    at = series.steps.index(first)
    values = ""
    if series.reference:
        a, b = format_number(series.reference[at]), format_number(series.other[at])
        values = f" ({a} in {sides[0]}, {b} in {sides[1]})"
    elif series.distance[at] is not None:
        values = f" ({format_number(series.distance[at], 3)} apart)"
    sentences = f"{plural(series.total, unit)}. The runs first differ at {unit} {first:,}{values}."
    gap, step = max(((gap, step) for gap, step in zip(series.distance, series.steps) if gap), default=(0, 0))
    if not gap:
        return sentences
    return f"{sentences} The largest difference is {format_number(gap, 3)}, at {unit} {step:,}."
