"""Draws a series of both runs against step, and the distance between them on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_repro.core.compare.plot_data import Number, Series
from pytest_repro.reports.html.plots.axes import WIDTH, along, field, first_label, grid, mark, steps
from pytest_repro.reports.html.plots.svg import Point, Scale, drawing, element, path, spans, text
from pytest_repro.reports.html.plots.ticks import decades, labels, nice, number, power

_DOTTED = 60
"""Steps up to which each is a dot as well."""

_ODD = 40
"""Numbers that are not finite are marked, up to so many."""


def lines(ident: str, name: str, sides: tuple[str, str], series: Series) -> str:
    """Both runs against step.

    Args:
        ident: Of its own on the page.
        name: Of what was recorded.
        sides: What both runs are called.
        series: With numbers of both runs.
    """
    top, bottom = 42.0, 176.0
    x = along(series)
    finite = [v for v in (*series.ours, *series.theirs) if v is not None and math.isfinite(v)] or [0.0]
    y = _padded(min(finite), max(finite), bottom, top)
    ticks = nice(y.low, y.high)
    drawn = [
        *field(top, bottom, x, series),
        *grid((y(each), said) for each, said in zip(ticks, labels(ticks))),
    ]
    drawn += mark(top - 6, bottom, x, series)
    for values, kind in ((series.ours, "ours"), (series.theirs, "theirs")):
        drawn += _line(values, series.steps, x, y, kind)
        drawn += _odd(values, series.steps, x, top, kind)
    title = f"{name} against {series.along}, {sides[0]} and {sides[1]}"
    return drawing(
        ident, WIDTH, 200, title, told(sides, series),
        *drawn, *steps(bottom, x, series), *_legend(sides), first_label(top - 12, x, series),
    )  # fmt: skip


def _padded(low: float, high: float, start: float, stop: float) -> Scale:
    """An axis with a little room at both ends."""
    room = (high / 2 - low / 2) * 0.12 or abs(high) * 0.05 or 1.0
    largest = 1.7e308
    return Scale(max(low - room, -largest), min(high + room, largest), start, stop)


def _line(values: Sequence[Number], at: Sequence[int], x: Scale, y: Scale, kind: str) -> Iterator[str]:
    points: list[Point | None] = [
        (x(step), y(value)) if value is not None and math.isfinite(value) else None
        for step, value in zip(at, values)
    ]
    for span in spans(points):
        if len(span) > 1:
            yield path(span, f"rp-{kind}")
        if len(span) == 1 or len(values) <= _DOTTED:
            yield from (element("circle", cx=a, cy=b, r=2.2, class_=f"rp-dot-{kind}") for a, b in span)


def _odd(values: Sequence[Number], at: Sequence[int], x: Scale, top: float, kind: str) -> Iterator[str]:
    """A cross at the upper edge for each number that is not finite, and the name of the first."""
    odd = [(step, v) for step, v in zip(at, values) if v is not None and not math.isfinite(v)]
    height = top + (12 if kind == "ours" else 24)
    if odd:
        yield from _crosses([x(step) for step, _ in odd], height, number(odd[0][1]), f"rp-{kind}-text")


def _crosses(places: Sequence[float], y: float, said: str, class_: str) -> Iterator[str]:
    """Crosses, and what they mean on the side where there is room."""
    for place in places[:_ODD]:
        yield text(place, y, "×", class_=class_, text_anchor="middle")
    if places[0] > WIDTH / 2:
        yield text(places[0] - 7, y, said, class_=class_, text_anchor="end")
    else:
        yield text(places[min(len(places), _ODD) - 1] + 7, y, said, class_=class_)


def _legend(sides: tuple[str, str]) -> Iterator[str]:
    start = 62.0
    for side, kind in zip(sides, ("ours", "theirs")):
        yield path([(start, 10), (start + 24, 10)], f"rp-{kind}")
        yield text(start + 30, 14, side, class_=f"rp-{kind}-text")
        start += 48 + 7.5 * len(side)


def apart(ident: str, name: str, sides: tuple[str, str], series: Series) -> str:
    """``|b - a|`` against step on a logarithmic axis; where both are equal it says so.

    Args:
        ident: Of its own on the page.
        name: Of what was recorded.
        sides: What both runs are called.
        series: With distances.
    """
    top, floor, bottom = 24.0 if not series.ours else 8.0, 108.0, 138.0
    x = along(series)
    above = [each for each in series.apart if each]
    exponents = decades(min(above), max(above)) if above else [0]
    y = Scale(exponents[0], exponents[-1], floor, top + 6)
    drawn = [*field(top, bottom, x, series)]
    drawn += grid((y(each), power(10, each)) for each in exponents) if above else []
    drawn += grid([(bottom - 9, _zero(series))])
    drawn += [*mark(top - 6, bottom, x, series), *_heights(series, x, y, bottom - 9)]
    what = "largest |a − b| of the elements" if not series.ours else "|a − b|"
    return drawing(
        ident, WIDTH, 162, f"{what} of {name} against {series.along}, logarithmic", told(sides, series),
        *drawn, *_unknown(series, x, top), *steps(bottom, x, series),
        *([] if series.ours else [first_label(top - 10, x, series)]),
    )  # fmt: skip


def _zero(series: Series) -> str:
    """What no distance means: other bits may stand for the same number."""
    bits = any(differs and gap == 0 for differs, gap in zip(series.differing, series.apart))
    return "0" if bits else "equal"


def _heights(series: Series, x: Scale, y: Scale, lane: float) -> Iterator[str]:
    equal: list[Point | None] = [
        (x(step), lane) if gap == 0 else None for step, gap in zip(series.steps, series.apart)
    ]
    for span in spans(equal):
        yield path([(span[0][0] - 2, lane), (span[-1][0] + 2, lane)], "rp-equal")
    over: list[Point | None] = [
        (x(step), y(math.log10(gap))) if gap else None for step, gap in zip(series.steps, series.apart)
    ]
    for span in spans(over):
        if len(span) > 1:
            yield path(span, "rp-gap")
        if len(span) == 1 or len(series.steps) <= _DOTTED:
            yield from (element("circle", cx=a, cy=b, r=2.2, class_="rp-dot-theirs") for a, b in span)


def _unknown(series: Series, x: Scale, top: float) -> Iterator[str]:
    odd = [x(step) for step, gap in zip(series.steps, series.apart) if gap is None]
    if odd:
        yield from _crosses(odd, top + 12, "no distance", "rp-theirs-text")


def told(sides: tuple[str, str], series: Series) -> str:
    """What both drawings show, in sentences."""
    return " ".join(_told(sides, series))


def _told(sides: tuple[str, str], series: Series) -> Iterator[str]:
    first = series.first_differing
    at = series.steps.index(first)
    unit = series.along
    yield f"{series.total:,} {unit}s. Both runs first differ at {unit} {first:,}"
    if series.ours:
        yield f"({number(series.ours[at])} in {sides[0]}, {number(series.theirs[at])} in {sides[1]})."
    else:
        yield f"({number(series.apart[at], 3)} apart)."
    finite = [(gap, step) for gap, step in zip(series.apart, series.steps) if gap]
    if finite:
        far, step = max(finite)
        yield f"They are furthest apart at {unit} {step:,}: {number(far, 3)}."
