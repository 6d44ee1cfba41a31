"""What the drawings have in common: the frame, the axis of steps, the mark of the first difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_repro.core.compare.plot_data import Series
from pytest_repro.reports.html.plots.svg import Scale, make_element, make_text
from pytest_repro.reports.html.plots.ticks import make_integer_ticks

WIDTH, LEFT_MARGIN, RIGHT_MARGIN, BOTTOM_MARGIN = 400, 62, 12, 24
"""Of a drawing; what is left beside and below its field for labels."""


def make_step_scale(series: Series) -> Scale:
    """The axis of steps."""
    first, last = series.steps[0], series.steps[-1]
    low, high = (first, last) if last > first else (first - 1, first + 1)
    return Scale(low, high, LEFT_MARGIN + 6, WIDTH - RIGHT_MARGIN - 6)


def draw_background(top: float, bottom: float, x: Scale, series: Series) -> Iterator[str]:
    """The ground of a drawing along steps: what follows the first difference is tinted."""
    start = x(series.first_differing)
    edge = WIDTH - RIGHT_MARGIN
    yield make_element(
        "rect", x=LEFT_MARGIN, y=top, width=edge - LEFT_MARGIN, height=bottom - top, class_="rp-field"
    )
    yield make_element("rect", x=start, y=top, width=edge - start, height=bottom - top, class_="rp-after")


def draw_difference_mark(top: float, bottom: float, x: Scale, series: Series) -> Iterator[str]:
    """Where both runs first part."""
    at = x(series.first_differing)
    yield make_element("line", x1=at, x2=at, y1=top, y2=bottom, class_="rp-first")


def draw_difference_label(top: float, x: Scale, series: Series) -> str:
    """What the mark means, on the side where there is room."""
    at, right = x(series.first_differing), x(series.first_differing) < (LEFT_MARGIN + WIDTH) / 2
    said = f"first differs at {series.unit} {series.first_differing:,}"
    near = at - 3 if right else at + 3
    return make_text(near, top, said, class_="rp-mark", text_anchor="start" if right else "end")


def draw_step_axis(bottom: float, x: Scale, series: Series) -> Iterator[str]:
    """The labels below; of many steps a few."""
    yield make_text(LEFT_MARGIN - 8, bottom + 17, series.unit, class_="rp-name", text_anchor="end")
    for each in make_integer_ticks(series.steps[0], series.steps[-1], 6):
        yield make_text(x(each), bottom + 17, f"{each:,}", text_anchor="middle")


def draw_grid(labels: Iterable[tuple[float, str]]) -> Iterator[str]:
    """A line across the field for each label at the left."""
    for y, said in labels:
        yield make_element("line", x1=LEFT_MARGIN, x2=WIDTH - RIGHT_MARGIN, y1=y, y2=y, class_="rp-grid")
        yield make_text(LEFT_MARGIN - 8, y + 4, said, text_anchor="end")
