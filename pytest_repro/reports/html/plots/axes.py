"""What the drawings have in common: the frame, the axis of steps, the mark of the first difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_repro.core.compare.plot_data import Series
from pytest_repro.reports.html.plots.svg import Scale, element, text
from pytest_repro.reports.html.plots.ticks import whole

WIDTH, LEFT, RIGHT, BELOW = 400, 62, 12, 24
"""Of a drawing; what is left beside and below its field for labels."""


def along(series: Series) -> Scale:
    """The axis of steps."""
    first, last = series.steps[0], series.steps[-1]
    low, high = (first, last) if last > first else (first - 1, first + 1)
    return Scale(low, high, LEFT + 6, WIDTH - RIGHT - 6)


def field(top: float, bottom: float, x: Scale, series: Series) -> Iterator[str]:
    """The ground of a drawing along steps: what follows the first difference is tinted."""
    start = x(series.first_differing)
    edge = WIDTH - RIGHT
    yield element("rect", x=LEFT, y=top, width=edge - LEFT, height=bottom - top, class_="rp-field")
    yield element("rect", x=start, y=top, width=edge - start, height=bottom - top, class_="rp-after")


def mark(top: float, bottom: float, x: Scale, series: Series) -> Iterator[str]:
    """Where both runs first part."""
    at = x(series.first_differing)
    yield element("line", x1=at, x2=at, y1=top, y2=bottom, class_="rp-first")


def first_label(top: float, x: Scale, series: Series) -> str:
    """What the mark means, on the side where there is room."""
    at, right = x(series.first_differing), x(series.first_differing) < (LEFT + WIDTH) / 2
    said = f"first differs at {series.along} {series.first_differing:,}"
    near = at - 3 if right else at + 3
    return text(near, top, said, class_="rp-mark", text_anchor="start" if right else "end")


def steps(bottom: float, x: Scale, series: Series) -> Iterator[str]:
    """The labels below; of many steps a few."""
    yield text(LEFT - 8, bottom + 17, series.along, class_="rp-name", text_anchor="end")
    for each in whole(series.steps[0], series.steps[-1], 6):
        yield text(x(each), bottom + 17, f"{each:,}", text_anchor="middle")


def grid(labelled: Iterable[tuple[float, str]]) -> Iterator[str]:
    """A line across the field for each label at the left."""
    for y, said in labelled:
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="rp-grid")
        yield text(LEFT - 8, y + 4, said, text_anchor="end")
