"""Maps values to coordinates, and chooses and formats the labels of an axis.

All plots are 400 units wide; y grows downwards. ``plots.html`` draws them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

LEFT, RIGHT = 62, 388
"""Edges of the plotting area; axis labels are left of it."""

Label = tuple[float, str]
"""A coordinate along an axis, and its label."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Plot:
    """What a plot shows, as numbers: coordinates, labels, sentences."""

    macro: ClassVar[str]  # name of the macro in ``plots.html`` that draws it
    ident: str  # prefix of the ids in the markup, unique on the page
    title: str
    description: str
    bottom: float  # lower edge of the plotting area


class Scale(NamedTuple):
    """A linear axis with the value *low* at the coordinate *start* and *high* at *stop*."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The coordinate of *value*."""
        # Halved first: the difference of two finite float64 can overflow.
        span = self.high / 2 - self.low / 2
        share = (value / 2 - self.low / 2) / span if span else 0.5
        return self.start + share * (self.stop - self.start)

    def label(self, ticks: Iterable[float], labels: Iterable[str]) -> list[Label]:
        """The coordinate of each tick with its label."""
        return [(self(tick), label) for tick, label in zip(ticks, labels)]


def make_ticks(low: float, high: float, max_ticks: int = 5) -> list[float]:
    """At most *max_ticks* + 1 round numbers from *low* to *high*, 1, 2 or 5 times a power of ten apart.

    Both ends must be finite, *max_ticks* at least 2. Returns the ends if no such step fits.
    """
    span = high / 2 - low / 2  # halved: the difference can overflow
    if span == 0:
        return [low]
    least = span / (max_ticks - 1) * 2 if span < 1e307 else span / (max_ticks - 1)
    power = math.floor(math.log10(least))
    step = next((n * 10.0**power for n in (1, 2, 5, 10) if n * 10.0**power >= least), 0.0)
    if not step or not math.isfinite(step) or abs(high) / step > 1e15 or abs(low) / step > 1e15:
        return [low, high]
    first = math.ceil(low / step - 1e-9)
    ticks = [(first + n) * step for n in range(max_ticks + 1)]
    return [tick for tick in ticks if math.isfinite(tick) and tick - high <= step * 1e-9] or [low, high]


def make_integer_ticks(low: int, high: int, max_ticks: int = 5) -> list[int]:
    """:func:`make_ticks` rounded to integers."""
    return sorted({round(tick) for tick in make_ticks(low, high, max_ticks)})


def make_decades(low: float, high: float) -> list[int]:
    """Two to five evenly spaced exponents of ten that enclose the positive numbers *low* and *high*."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    stride = max(1, math.ceil((last - first) / 4))
    last = first + stride * math.ceil((last - first) / stride)
    return list(range(first, last + 1, stride))


def format_power(base: int, exponent: int) -> str:
    """``10⁻⁷``."""
    return f"{base}{str(exponent).translate(_SUPERSCRIPTS)}"


def format_number(value: float | None, digits: int = 7) -> str:
    """``0.0315``, ``1.2 × 10⁻⁷``; ``–`` for None."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    digits_shown, _, exponent = f"{value:.{digits}g}".partition("e")
    power = f"\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{format_power(10, int(exponent))}" if exponent else ""
    return f"{digits_shown}{power}".replace("-", "−")


def format_labels(ticks: list[float]) -> list[str]:
    """*ticks* with as few digits as keep them distinct and exact."""
    for digits in range(3, 18):
        labels = [f"{tick:.{digits}g}" for tick in ticks]
        exact = (math.isclose(t, float(s), rel_tol=1e-9, abs_tol=1e-300) for t, s in zip(ticks, labels))
        if len(set(labels)) == len(ticks) and all(exact):
            break
    return [_shorten(label) for label in labels]


def _shorten(label: str) -> str:
    digits, _, exponent = label.partition("e")
    return (f"{digits}e{int(exponent)}" if exponent else digits).replace("-", "−")


def format_ulp(edge: int) -> str:
    """The lower edge of a bin of ulp distances: ``4``, from 1,024 on ``2¹⁰``."""
    return str(edge) if edge < 1024 else format_power(2, edge.bit_length() - 1)


def format_count(number: int) -> str:
    """``12,000`` as ``12k``, to fit beside an axis."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 10 * size or (number >= size and number % size == 0):
            return f"{number / size:.3g}{unit}"
    return f"{number:,}"
