"""Draws a value over seeds: a dot for each seed, on a line of values; equal ones lie on each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pytest_repro.reports.html.plots.axes import RIGHT_MARGIN, WIDTH
from pytest_repro.reports.html.plots.svg import Scale, make_drawing, make_element, make_text
from pytest_repro.reports.html.plots.ticks import format_labels, format_number, make_ticks

_LEFT, _TOP = 22, 8
_DOT_RADIUS = 3.2
_MAX_COLUMNS = 54
"""Columns in which dots lie on each other."""

_DENSE_COLUMN_SIZE = 9
"""Dots of a column from which on they lie closer."""


def draw_strip(ident: str, name: str, values: Mapping[str, float], failed: Collection[str]) -> str:
    """A dot for each seed; a cross where the test failed with it.

    Args:
        ident: Of its own on the page.
        name: Of what was recorded.
        values: By seed, finite, one or more.
        failed: Seeds with which the test failed.
    """
    low, high = min(values.values()), max(values.values())
    x = Scale(low, high, _LEFT + 6, WIDTH - RIGHT_MARGIN - 6)
    columns = _group_into_columns(values, x)
    most = max(map(len, columns.values()))
    gap = 2 * _DOT_RADIUS if most <= _DENSE_COLUMN_SIZE else 2 * _DOT_RADIUS * _DENSE_COLUMN_SIZE / most
    bottom = _TOP + 2 * _DOT_RADIUS + gap * (most - 1) + 8
    ground = make_element(
        "rect",
        x=_LEFT,
        y=_TOP - 4,
        width=WIDTH - RIGHT_MARGIN - _LEFT,
        height=bottom - _TOP + 4,
        class_="rp-field",
    )
    dots = (
        _draw_dot(x(values[seed]), bottom - 8 - gap * height, seed in failed)
        for column in columns.values()
        for height, seed in enumerate(column)
    )
    title = f"{name} by seed"
    return make_drawing(
        ident,
        WIDTH,
        round(bottom + 22),
        title,
        describe_strip(values, failed),
        ground,
        *dots,
        *_draw_axis(x, bottom),
    )


def _group_into_columns(values: Mapping[str, float], x: Scale) -> dict[int, list[str]]:
    """The seeds of each column, those of an equal value side by side."""
    width = (x.stop - x.start) / _MAX_COLUMNS
    found: dict[int, list[str]] = {}
    for seed in sorted(values, key=values.__getitem__):
        found.setdefault(int((x(values[seed]) - x.start) / width), []).append(seed)
    return found


def _draw_dot(x: float, y: float, failed: bool) -> str:
    if not failed:
        return make_element("circle", cx=x, cy=y, r=_DOT_RADIUS, class_="rp-dot-ours")
    far = _DOT_RADIUS
    lines = f"M{x - far:.1f} {y - far:.1f}L{x + far:.1f} {y + far:.1f}"
    lines += f"M{x - far:.1f} {y + far:.1f}L{x + far:.1f} {y - far:.1f}"
    return make_element("path", d=lines, class_="rp-failed")


def _draw_axis(x: Scale, bottom: float) -> Iterator[str]:
    ticks = make_ticks(x.low, x.high, 5)
    for tick, said in zip(ticks, format_labels(ticks)):
        yield make_element("line", x1=x(tick), x2=x(tick), y1=bottom, y2=bottom + 4, class_="rp-grid")
        yield make_text(x(tick), bottom + 17, said, text_anchor="middle")


def describe_strip(values: Mapping[str, float], failed: Collection[str]) -> str:
    """What is drawn, in a sentence."""
    least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    ends = f"from {format_number(values[least], 4)} (seed {least}) to {format_number(values[most], 4)} (seed {most})"
    crossed = sum(seed in values for seed in failed)
    return f"{len(values)} seeds, {ends}" + (f"; × where the test failed, {crossed}." if crossed else ".")
