"""The drawings of a picture, each with its numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_repro.core.compare.plot_data import Histogram, Series
from pytest_repro.reports.html.page_data import Drawn
from pytest_repro.reports.html.plots import series as along
from pytest_repro.reports.html.plots import ulp_histogram
from pytest_repro.reports.html.plots.ticks import number

ROWS = 24
"""Rows of a table: those around the first difference, and some over the whole."""

_BEFORE, _AFTER = 2, 9


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing, with what is said of it.

    Attributes:
        title: What it shows.
        svg: Markup.
        place: ``"along"`` steps, or ``"beside"`` those that are.
        told: What can be seen, in sentences; ``""`` where the figure below says it.
        head: Column heads of its numbers.
        rows: Its numbers; a row that differs begins with ``≠``.
        part: Whether these are some of many.
    """

    title: str
    svg: str
    place: str
    told: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    part: bool = False


def figures(ident: str, drawn: Drawn) -> Iterator[Figure]:
    """Series, distance and histogram, as far as there are any.

    Args:
        ident: Of its own on the page.
        drawn: What can be drawn.
    """
    found, name, sides = drawn.series, drawn.name, drawn.sides
    if found is not None:
        head = (found.along, *(sides if found.ours else ()), "|a − b|")
        rows, part = _rows(found), len(found.steps) > ROWS or len(found.steps) < found.total
        told = along.told(sides, found)
        if found.ours:
            svg = along.lines(f"{ident}-s", name, sides, found)
            yield Figure(f"{name} against {found.along}", svg, "along")
        gap = "|a − b|" if found.ours else "largest |a − b|"
        svg = along.apart(f"{ident}-d", name, sides, found)
        yield Figure(f"{gap}, logarithmic", svg, "along", told, head, rows, part)
    if drawn.histogram is not None:
        yield _bars(f"{ident}-u", name, drawn.histogram)


def _bars(ident: str, name: str, found: Histogram) -> Figure:
    rows = tuple(
        (ulp_histogram.between(found, n), f"{count:,}") for n, count in enumerate(found.counts) if count
    )
    svg = ulp_histogram.bars(ident, name, found)
    return Figure("distance in ulp", svg, "beside", ulp_histogram.told(found), ("ulp", "elements"), rows)


def _rows(found: Series) -> tuple[tuple[str, ...], ...]:
    first = found.steps.index(found.first_differing)
    near = range(max(0, first - _BEFORE), min(len(found.steps), first + _AFTER))
    rest = ROWS - len(near)
    far = {round(n * (len(found.steps) - 1) / max(rest - 1, 1)) for n in range(rest)}
    return tuple(_row(found, place) for place in sorted({*near, *far}))


def _row(found: Series, place: int) -> tuple[str, ...]:
    sign = "≠ " if found.differing[place] else ""
    both = (found.ours[place], found.theirs[place]) if found.ours else ()
    gap = found.apart[place]
    far = "equal" if gap == 0 and not sign else number(gap, 4)
    return (f"{sign}{found.steps[place]:,}", *map(number, both), far)
