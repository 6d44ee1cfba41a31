"""SVG as text: elements, paths, and where a number lies on an axis."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

Point = tuple[float, float]

# What XML 1.0 cannot hold: control characters but for tab and line ends, and halves of pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def escape_unprintable(text: str) -> str:
    """*text* with what no page can hold written as an escape: ``\\x1b``."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def make_element(name: str, *children: str, **attributes: object) -> str:
    """An element; *children* is markup, attributes are text: ``stroke_width`` gives ``stroke-width``."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(escape_unprintable(_format_value(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{''.join(children)}</{name}>" if children else f"<{name}{given}/>"


def _format_value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def make_text(x: float, y: float, content: str, **attributes: object) -> str:
    """A line of text."""
    return make_element("text", escape(escape_unprintable(content)), x=x, y=y, **attributes)


def make_path(points: Sequence[Point], class_: str, closed: str = "") -> str:
    """A line through *points*."""
    drawn = "L".join(f"{_format_value(float(x))} {_format_value(float(y))}" for x, y in points)
    return make_element("path", d=f"M{drawn}{closed}", class_=class_)


def split_spans(points: Iterable[Point | None]) -> list[list[Point]]:
    """*points* cut where there is none."""
    found: list[list[Point]] = [[]]
    for point in points:
        if point is not None:
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [span for span in found if span]


class Scale(NamedTuple):
    """Where a number lies on an axis: *low* at *start*, *high* at *stop*."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The place of *value*."""
        # Halved first: the distance between two float64 need not be one.
        span = self.high / 2 - self.low / 2
        share = (value / 2 - self.low / 2) / span if span else 0.5
        return self.start + share * (self.stop - self.start)


def make_drawing(ident: str, width: int, height: int, title: str, description: str, *children: str) -> str:
    """A drawing with its text alternative.

    Args:
        ident: Of its own on the page.
        width: In the units it is drawn in.
        height: Likewise.
        title: What it shows.
        description: What can be seen on it.
        *children: Markup.
    """
    named = make_element("title", escape(escape_unprintable(title)), id=f"{ident}-t")
    said = make_element("desc", escape(escape_unprintable(description)), id=f"{ident}-d")
    return make_element(
        "svg", named, said, *children, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}",
        class_="rp", role="img", aria_labelledby=f"{ident}-t {ident}-d",
    )  # fmt: skip
