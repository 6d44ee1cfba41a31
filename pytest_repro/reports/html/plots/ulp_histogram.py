"""Draws how many elements are how many representable numbers apart."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_repro.core.compare.plot_data import Histogram
from pytest_repro.reports.html.plots.axes import LEFT_MARGIN, RIGHT_MARGIN, WIDTH, draw_grid
from pytest_repro.reports.html.plots.svg import Scale, make_drawing, make_element, make_text
from pytest_repro.reports.html.plots.ticks import format_ulp, make_integer_ticks

_MAX_LABELS = 7
_MAX_BINS_WITH_COUNT = 6
"""Bins that are labelled below; up to how many have their count above."""


def draw_histogram(ident: str, name: str, histogram: Histogram) -> str:
    """A bar for each power of two.

    Args:
        ident: Of its own on the page.
        name: Of what was recorded.
        histogram: With one filled bin at least.
    """
    top, bottom = 22.0, 134.0
    y = Scale(0, max(histogram.counts), bottom, top)
    ticks = make_integer_ticks(0, max(histogram.counts), 4)
    ground = make_element(
        "rect",
        x=LEFT_MARGIN,
        y=top,
        width=WIDTH - RIGHT_MARGIN - LEFT_MARGIN,
        height=bottom - top,
        class_="rp-field",
    )
    lines = draw_grid((y(each), _format_count(each)) for each in ticks)
    title = f"Elements of {name} by distance in ulp"
    unit = make_text(LEFT_MARGIN - 8, bottom + 17, "ulp", class_="rp-name", text_anchor="end")
    return make_drawing(
        ident,
        WIDTH,
        158,
        title,
        describe_histogram(histogram),
        ground,
        *lines,
        *_draw_bars(histogram, y, bottom),
        unit,
    )


def _draw_bars(histogram: Histogram, y: Scale, bottom: float) -> Iterator[str]:
    count = len(histogram.counts)
    room = (WIDTH - RIGHT_MARGIN - LEFT_MARGIN - 12) / max(count, 4)
    stride = -(-count // _MAX_LABELS)
    for place, number in enumerate(histogram.counts):
        start = LEFT_MARGIN + 6 + place * room
        height = max(bottom - y(number), 2.0) if number else 0.0
        where = {"x": start + room * 0.08, "y": bottom - height, "width": room * 0.84, "height": height}
        yield make_element("rect", **where, class_="rp-bar")
        if count <= _MAX_BINS_WITH_COUNT and number:
            yield make_text(
                start + room / 2, bottom - height - 4, _format_count(number), text_anchor="middle"
            )
        if place % stride == 0:
            said = (
                format_bin(histogram, place)
                if stride == 1 and count <= 4
                else format_ulp(histogram.edges[place])
            )
            yield make_text(start + room / 2, bottom + 17, said, text_anchor="middle")


def _format_count(number: int) -> str:
    """``12,000`` as ``12k``: there is little room beside an axis."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 10 * size or (number >= size and number % size == 0):
            return f"{number / size:.3g}{unit}"
    return f"{number:,}"


def format_bin(histogram: Histogram, index: int) -> str:
    """A bin: ``1``, ``2 to 3``, ``2¹⁰ to 2¹¹``."""
    start, stop = histogram.edges[index], histogram.edges[index + 1]
    if stop - start <= 1:
        return format_ulp(start)
    return f"{format_ulp(start)} to {format_ulp(stop - 1) if stop <= 1024 else format_ulp(stop)}"


def describe_histogram(histogram: Histogram) -> str:
    """What is drawn, in sentences."""
    return " ".join(_make_sentences(histogram))


def _make_sentences(histogram: Histogram) -> Iterator[str]:
    differing = sum(histogram.counts) + histogram.non_finite
    peak = max(range(len(histogram.counts)), key=histogram.counts.__getitem__)
    yield f"{differing:,} of {histogram.total:,} elements differ."
    yield f"Most of them ({histogram.counts[peak]:,}) are {format_bin(histogram, peak)} ulp apart,"
    yield f"the furthest {format_bin(histogram, len(histogram.counts) - 1)}."
    if histogram.non_finite:
        yield f"{histogram.non_finite:,} are NaN or infinite in one run or both, and are not drawn."
