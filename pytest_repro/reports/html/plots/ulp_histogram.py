"""Draws how many elements are how many representable numbers apart."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_repro.core.compare.plot_data import Histogram
from pytest_repro.reports.html.plots.axes import LEFT, RIGHT, WIDTH, grid
from pytest_repro.reports.html.plots.svg import Scale, drawing, element, text
from pytest_repro.reports.html.plots.ticks import ulp, whole

_LABELS = 7
_COUNTED = 6
"""Bins that are labelled below; up to how many have their count above."""


def bars(ident: str, name: str, found: Histogram) -> str:
    """A bar for each power of two.

    Args:
        ident: Of its own on the page.
        name: Of what was recorded.
        found: With one filled bin at least.
    """
    top, bottom = 22.0, 134.0
    y = Scale(0, max(found.counts), bottom, top)
    ticks = whole(0, max(found.counts), 4)
    ground = element(
        "rect", x=LEFT, y=top, width=WIDTH - RIGHT - LEFT, height=bottom - top, class_="rp-field"
    )
    lines = grid((y(each), _short(each)) for each in ticks)
    title = f"Elements of {name} by distance in ulp"
    unit = text(LEFT - 8, bottom + 17, "ulp", class_="rp-name", text_anchor="end")
    return drawing(
        ident, WIDTH, 158, title, told(found), ground, *lines, *_bars(found, y, bottom), unit
    )  # fmt: skip


def _bars(found: Histogram, y: Scale, bottom: float) -> Iterator[str]:
    count = len(found.counts)
    room = (WIDTH - RIGHT - LEFT - 12) / max(count, 4)
    stride = -(-count // _LABELS)
    for place, number in enumerate(found.counts):
        start = LEFT + 6 + place * room
        height = max(bottom - y(number), 2.0) if number else 0.0
        where = {"x": start + room * 0.08, "y": bottom - height, "width": room * 0.84, "height": height}
        yield element("rect", **where, class_="rp-bar")
        if count <= _COUNTED and number:
            yield text(start + room / 2, bottom - height - 4, _short(number), text_anchor="middle")
        if place % stride == 0:
            said = between(found, place) if stride == 1 and count <= 4 else ulp(found.edges[place])
            yield text(start + room / 2, bottom + 17, said, text_anchor="middle")


def _short(number: int) -> str:
    """``12,000`` as ``12k``: there is little room beside an axis."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 10 * size or (number >= size and number % size == 0):
            return f"{number / size:.3g}{unit}"
    return f"{number:,}"


def between(found: Histogram, place: int) -> str:
    """A bin: ``1``, ``2 to 3``, ``2¹⁰ to 2¹¹``."""
    start, stop = found.edges[place], found.edges[place + 1]
    if stop - start <= 1:
        return ulp(start)
    return f"{ulp(start)} to {ulp(stop - 1) if stop <= 1024 else ulp(stop)}"


def told(found: Histogram) -> str:
    """What is drawn, in sentences."""
    return " ".join(_told(found))


def _told(found: Histogram) -> Iterator[str]:
    differing = sum(found.counts) + found.non_finite
    peak = max(range(len(found.counts)), key=found.counts.__getitem__)
    yield f"{differing:,} of {found.total:,} elements differ."
    yield f"Most of them ({found.counts[peak]:,}) are {between(found, peak)} ulp apart,"
    yield f"the furthest {between(found, len(found.counts) - 1)}."
    if found.non_finite:
        yield f"{found.non_finite:,} are NaN or infinite in one run or both, and are not drawn."
