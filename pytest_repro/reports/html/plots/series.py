"""Draws a series of both runs against step, and the distance between them on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_repro.core.compare.plot_data import Number, Series
from pytest_repro.reports.html.plots.axes import (
    WIDTH,
    draw_background,
    draw_difference_label,
    draw_difference_mark,
    draw_grid,
    draw_step_axis,
    make_step_scale,
)
from pytest_repro.reports.html.plots.svg import (
    Point,
    Scale,
    make_drawing,
    make_element,
    make_path,
    make_text,
    split_spans,
)
from pytest_repro.reports.html.plots.ticks import (
    format_labels,
    format_number,
    format_power,
    make_decades,
    make_ticks,
)

_MAX_DOTS = 60
"""Steps up to which each is a dot as well."""

_MAX_CROSSES = 40
"""Numbers that are not finite are marked, up to so many."""


def draw_series(ident: str, name: str, sides: tuple[str, str], series: Series) -> str:
    """Both runs against step.

    Args:
        ident: Of its own on the page.
        name: Of what was recorded.
        sides: What both runs are called.
        series: With numbers of both runs.
    """
    top, bottom = 42.0, 176.0
    x = make_step_scale(series)
    finite = [v for v in (*series.reference, *series.other) if v is not None and math.isfinite(v)] or [0.0]
    y = _make_padded_scale(min(finite), max(finite), bottom, top)
    ticks = make_ticks(y.low, y.high)
    drawn = [
        *draw_background(top, bottom, x, series),
        *draw_grid((y(each), said) for each, said in zip(ticks, format_labels(ticks))),
    ]
    drawn += draw_difference_mark(top - 6, bottom, x, series)
    for values, kind in ((series.reference, "ours"), (series.other, "theirs")):
        drawn += _draw_line(values, series.steps, x, y, kind)
        drawn += _draw_non_finite(values, series.steps, x, top, kind)
    title = f"{name} against {series.unit}, {sides[0]} and {sides[1]}"
    return make_drawing(
        ident,
        WIDTH,
        200,
        title,
        describe_series(sides, series),
        *drawn,
        *draw_step_axis(bottom, x, series),
        *_draw_legend(sides),
        draw_difference_label(top - 12, x, series),
    )


def _make_padded_scale(low: float, high: float, start: float, stop: float) -> Scale:
    """An axis with a little room at both ends."""
    room = (high / 2 - low / 2) * 0.12 or abs(high) * 0.05 or 1.0
    largest = 1.7e308
    return Scale(max(low - room, -largest), min(high + room, largest), start, stop)


def _draw_line(
    values: Sequence[Number], step_numbers: Sequence[int], x: Scale, y: Scale, kind: str
) -> Iterator[str]:
    points: list[Point | None] = [
        (x(step), y(value)) if value is not None and math.isfinite(value) else None
        for step, value in zip(step_numbers, values)
    ]
    for span in split_spans(points):
        if len(span) > 1:
            yield make_path(span, f"rp-{kind}")
        if len(span) == 1 or len(values) <= _MAX_DOTS:
            yield from (make_element("circle", cx=a, cy=b, r=2.2, class_=f"rp-dot-{kind}") for a, b in span)


def _draw_non_finite(
    values: Sequence[Number], step_numbers: Sequence[int], x: Scale, top: float, kind: str
) -> Iterator[str]:
    """A cross at the upper edge for each number that is not finite, and the name of the first."""
    odd = [(step, v) for step, v in zip(step_numbers, values) if v is not None and not math.isfinite(v)]
    height = top + (12 if kind == "ours" else 24)
    if odd:
        yield from _draw_crosses(
            [x(step) for step, _ in odd], height, format_number(odd[0][1]), f"rp-{kind}-text"
        )


def _draw_crosses(positions: Sequence[float], y: float, label: str, class_: str) -> Iterator[str]:
    """Crosses, and what they mean on the side where there is room."""
    for place in positions[:_MAX_CROSSES]:
        yield make_text(place, y, "×", class_=class_, text_anchor="middle")
    if positions[0] > WIDTH / 2:
        yield make_text(positions[0] - 7, y, label, class_=class_, text_anchor="end")
    else:
        yield make_text(positions[min(len(positions), _MAX_CROSSES) - 1] + 7, y, label, class_=class_)


def _draw_legend(sides: tuple[str, str]) -> Iterator[str]:
    start = 62.0
    for side, kind in zip(sides, ("ours", "theirs")):
        yield make_path([(start, 10), (start + 24, 10)], f"rp-{kind}")
        yield make_text(start + 30, 14, side, class_=f"rp-{kind}-text")
        start += 48 + 7.5 * len(side)


def draw_distance(ident: str, name: str, sides: tuple[str, str], series: Series) -> str:
    """``|b - a|`` against step on a logarithmic axis; where both are equal it says so.

    Args:
        ident: Of its own on the page.
        name: Of what was recorded.
        sides: What both runs are called.
        series: With distances.
    """
    top, floor, bottom = 24.0 if not series.reference else 8.0, 108.0, 138.0
    x = make_step_scale(series)
    above = [each for each in series.distance if each]
    exponents = make_decades(min(above), max(above)) if above else [0]
    y = Scale(exponents[0], exponents[-1], floor, top + 6)
    drawn = [*draw_background(top, bottom, x, series)]
    drawn += draw_grid((y(each), format_power(10, each)) for each in exponents) if above else []
    drawn += draw_grid([(bottom - 9, _label_zero(series))])
    drawn += [*draw_difference_mark(top - 6, bottom, x, series), *_draw_distances(series, x, y, bottom - 9)]
    what = "largest |a − b| of the elements" if not series.reference else "|a − b|"
    return make_drawing(
        ident,
        WIDTH,
        162,
        f"{what} of {name} against {series.unit}, logarithmic",
        describe_series(sides, series),
        *drawn,
        *_draw_unknown_distances(series, x, top),
        *draw_step_axis(bottom, x, series),
        *([] if series.reference else [draw_difference_label(top - 10, x, series)]),
    )


def _label_zero(series: Series) -> str:
    """What no distance means: other bits may stand for the same number."""
    bits = any(differs and gap == 0 for differs, gap in zip(series.differing, series.distance))
    return "0" if bits else "equal"


def _draw_distances(series: Series, x: Scale, y: Scale, zero_y: float) -> Iterator[str]:
    equal: list[Point | None] = [
        (x(step), zero_y) if gap == 0 else None for step, gap in zip(series.steps, series.distance)
    ]
    for span in split_spans(equal):
        yield make_path([(span[0][0] - 2, zero_y), (span[-1][0] + 2, zero_y)], "rp-equal")
    over: list[Point | None] = [
        (x(step), y(math.log10(gap))) if gap else None for step, gap in zip(series.steps, series.distance)
    ]
    for span in split_spans(over):
        if len(span) > 1:
            yield make_path(span, "rp-gap")
        if len(span) == 1 or len(series.steps) <= _MAX_DOTS:
            yield from (make_element("circle", cx=a, cy=b, r=2.2, class_="rp-dot-theirs") for a, b in span)


def _draw_unknown_distances(series: Series, x: Scale, top: float) -> Iterator[str]:
    odd = [x(step) for step, gap in zip(series.steps, series.distance) if gap is None]
    if odd:
        yield from _draw_crosses(odd, top + 12, "no distance", "rp-theirs-text")


def describe_series(sides: tuple[str, str], series: Series) -> str:
    """What both drawings show, in sentences."""
    return " ".join(_make_sentences(sides, series))


def _make_sentences(sides: tuple[str, str], series: Series) -> Iterator[str]:
    first = series.first_differing
    at = series.steps.index(first)
    unit = series.unit
    yield f"{series.total:,} {unit}s. Both runs first differ at {unit} {first:,}"
    if series.reference:
        yield f"({format_number(series.reference[at])} in {sides[0]}, {format_number(series.other[at])} in {sides[1]})."
    else:
        yield f"({format_number(series.distance[at], 3)} apart)."
    finite = [(gap, step) for gap, step in zip(series.distance, series.steps) if gap]
    if finite:
        far, step = max(finite)
        yield f"They are furthest apart at {unit} {step:,}: {format_number(far, 3)}."
