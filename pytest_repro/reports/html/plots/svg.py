"""SVG as text: elements, paths, and where a number lies on an axis."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

Point = tuple[float, float]

# What XML 1.0 cannot hold: control characters but for tab and line ends, and halves of pairs.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """*text* with what no page can hold written as an escape: ``\\x1b``."""
    return _UNSPEAKABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def element(name: str, *inside: str, **attributes: object) -> str:
    """An element; *inside* is markup, attributes are text: ``stroke_width`` gives ``stroke-width``."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(printable(_said(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{''.join(inside)}</{name}>" if inside else f"<{name}{given}/>"


def _said(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(x: float, y: float, said: str, **attributes: object) -> str:
    """A line of text."""
    return element("text", escape(printable(said)), x=x, y=y, **attributes)


def path(points: Sequence[Point], class_: str, closed: str = "") -> str:
    """A line through *points*."""
    drawn = "L".join(f"{_said(float(x))} {_said(float(y))}" for x, y in points)
    return element("path", d=f"M{drawn}{closed}", class_=class_)


def spans(points: Iterable[Point | None]) -> list[list[Point]]:
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


def drawing(ident: str, width: int, height: int, title: str, told: str, *inside: str) -> str:
    """A drawing with its text alternative.

    Args:
        ident: Of its own on the page.
        width: In the units it is drawn in.
        height: Likewise.
        title: What it shows.
        told: What can be seen on it.
        *inside: Markup.
    """
    named = element("title", escape(printable(title)), id=f"{ident}-t")
    said = element("desc", escape(printable(told)), id=f"{ident}-d")
    return element(
        "svg", named, said, *inside, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}",
        class_="rp", role="img", aria_labelledby=f"{ident}-t {ident}-d",
    )  # fmt: skip
