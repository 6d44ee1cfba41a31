"""Where an axis is labelled, and how numbers are written there."""

from __future__ import annotations

import math

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def make_ticks(low: float, high: float, max_ticks: int = 5) -> list[float]:
    """At most *max_ticks* round numbers from *low* to *high*, a step of 1, 2 or 5 times a power of ten.

    Args:
        low: Finite.
        high: Finite, not below *low*.
        max_ticks: At least 2.
    """
    span = high / 2 - low / 2  # halved: the distance between two float64 need not be one
    if span == 0:
        return [low]
    least = span / (max_ticks - 1) * 2 if span < 1e307 else span / (max_ticks - 1)
    power = math.floor(math.log10(least))
    step = next((n * 10.0**power for n in (1, 2, 5, 10) if n * 10.0**power >= least), 0.0)
    if not step or not math.isfinite(step) or abs(high) / step > 1e15 or abs(low) / step > 1e15:
        return [low, high]
    first = math.ceil(low / step - 1e-9)
    found = [(first + n) * step for n in range(max_ticks + 1)]
    return [each for each in found if math.isfinite(each) and each - high <= step * 1e-9] or [low, high]


def make_integer_ticks(low: int, high: int, max_ticks: int = 5) -> list[int]:
    """Likewise of whole numbers."""
    return sorted({round(each) for each in make_ticks(low, high, max_ticks)})


def make_decades(low: float, high: float, max_ticks: int = 5) -> list[int]:
    """Exponents of ten from below *low* to above *high*, both positive: at least two.

    The first and the last are the ends of the axis; those between are left out to be at most *max_ticks*.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    stride = max(1, math.ceil((last - first) / (max_ticks - 1)))
    last = first + stride * math.ceil((last - first) / stride)
    return list(range(first, last + 1, stride))


def format_power(base: int, exponent: int) -> str:
    """``10⁻⁷``."""
    return f"{base}{str(exponent).translate(_SUPERSCRIPTS)}"


def format_number(value: float | None, digits: int = 7) -> str:
    """A number as a person reads it: ``0.0315``, ``1.2 × 10⁻⁷``; ``–`` where there is none."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    shown, _, exponent = f"{value:.{digits}g}".partition("e")
    return (
        f"{shown}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{format_power(10, int(exponent))}"
        if exponent
        else shown
    ).replace("-", "−")


def format_labels(values: list[float]) -> list[str]:
    """*values*, which are ticks, each with as many digits as tell them apart."""
    for digits in range(3, 17):
        found = [f"{value:.{digits}g}" for value in values]
        if len(set(found)) == len(values) and all(map(_is_close, values, map(float, found))):
            break
    return [_shorten(each) for each in found]


def _is_close(value: float, parsed: float) -> bool:
    return math.isclose(value, parsed, rel_tol=1e-9, abs_tol=1e-300)


def _shorten(label: str) -> str:
    digits, _, exponent = label.partition("e")
    return (f"{digits}e{int(exponent)}" if exponent else digits).replace("-", "−")


def format_ulp(edge: int) -> str:
    """Where a bin of ulps begins: ``4``, from 1,024 on ``2¹⁰``."""
    return str(edge) if edge < 1024 else format_power(2, edge.bit_length() - 1)
