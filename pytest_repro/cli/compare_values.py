"""How far one value is apart on two machines, by what their reports tell of it."""

from __future__ import annotations

import cmath
import math
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.statistics import Statistics, compare_statistics
from pytest_repro.core.golden.stored_value import Number, StoredValue
from pytest_repro.core.plan.tolerance import Tolerance


@dataclass(frozen=True, slots=True)
class ValueMismatch:
    """One value that is not equal to the bit on both machines.

    Attributes:
        name: As it is shown: ``loss[3]``.
        a: As A tells it; None where A has not recorded it.
        b: Likewise.
        difference: How far, where the elements are known.
        close: Whether it is within what is asked.
    """

    name: str
    a: StoredValue | None
    b: StoredValue | None
    difference: Difference | None = None
    close: bool = False


def compare_value(
    name: str, a: StoredValue | None, b: StoredValue | None, tolerance: Tolerance, use_statistics: bool
) -> ValueMismatch | None:
    """What is to be said of one value; None where it is equal to the bit.

    Args:
        name: Of the value.
        a: As one report tells it, or None.
        b: As the other does.
        tolerance: ``|b - a| <= atol + rtol * |a|``, for numbers of one kind.
        use_statistics: Whether arrays of which only statistics are known are judged by them. They
            can be alike though the elements are not: without it such arrays differ.
    """
    if a is None or b is None or a.kind != b.kind:
        return ValueMismatch(name, a, b)
    if a.digest == b.digest:
        return None
    if a.values is not None and b.values is not None and len(a.values) == len(b.values):
        found = measure_difference(a.values, b.values, a.kind, tolerance)
        # Equal numbers of unequal digests: 0.0 and -0.0, NaNs of other bits. Those are close.
        return ValueMismatch(name, a, b, found, not tolerance.exact and not found.outside_tolerance)
    likened = use_statistics and a.statistics is not None and b.statistics is not None
    return ValueMismatch(
        name, a, b, close=likened and _are_statistics_close(a.statistics, b.statistics, tolerance)
    )


def _are_statistics_close(a: Statistics | None, b: Statistics | None, tolerance: Tolerance) -> bool:
    if a is None or b is None or a.non_finite != b.non_finite or tolerance.exact:
        return False
    pairs = [(_parse_number(each.a), _parse_number(each.b)) for each in compare_statistics(a, b)]
    return all(x is not None and y is not None and _is_close(x, y, tolerance) for x, y in pairs)


def _parse_number(value: float | str | None) -> Number | None:
    """One of the statistics as a number; None for what is none, such as the element of an array of bools."""
    if not isinstance(value, str):
        return value
    for form in (int, float, complex):
        with suppress(ValueError):
            return form(value)
    return None


def _is_close(a: Number, b: Number, tolerance: Tolerance) -> bool:
    if a == b or (_is_nan(a) and _is_nan(b)):
        return True
    return (
        _abs_difference(a, b) <= tolerance.atol + tolerance.rtol * _magnitude(a)
        and cmath.isfinite(a)
        and cmath.isfinite(b)
    )


def _is_nan(number: Number) -> bool:
    return cmath.isnan(number)


def _abs_difference(a: Number, b: Number) -> float:
    return _magnitude(b - a)


def _magnitude(number: Number) -> float:
    # abs() of a complex number raises where the magnitude is beyond the largest float.
    return math.hypot(number.real, number.imag) if isinstance(number, complex) else float(abs(number))


def measure_difference(
    a: Sequence[Number], b: Sequence[Number], kind: str, tolerance: Tolerance
) -> Difference:
    """How far *b* is from *a*, element by element.

    Args:
        a: Elements in C order, of any number.
        b: As many.
        kind: dtype and shape of both, ``"float32[4, 8]"``.
        tolerance: Elements within it are not counted as ``outside``.
    """
    unequal = [n for n, (x, y) in enumerate(zip(a, b)) if not (x == y or (_is_nan(x) and _is_nan(y)))]
    outside = sum(not _is_close(a[n], b[n], tolerance) for n in unequal)
    finite = [n for n in unequal if cmath.isfinite(a[n]) and cmath.isfinite(b[n])]
    gaps = [_abs_difference(a[n], b[n]) for n in finite]
    relative = [gap / _magnitude(a[n]) for n, gap in zip(finite, gaps) if a[n]]
    first = unequal[0] if unequal else None
    return Difference(
        len(unequal), len(a), outside, _max_or_none(gaps), _max_or_none(relative), None,
        None if first is None else _unravel_index(first, kind),
        None if first is None else (format_number(a[first], kind), format_number(b[first], kind)),
        len(unequal) - len(finite),
    )  # fmt: skip


def _max_or_none(numbers: Sequence[float]) -> float | None:
    return min(max(numbers), sys.float_info.max) if numbers else None


def format_number(number: Number, kind: str) -> str:
    """*number* with the digits that its dtype has: those of a float32 are not drawn out to float64."""
    if isinstance(number, int) or kind.startswith(("float64", "float[", "complex128", "longdouble")):
        return str(number)
    return str(number) if kind in ("float", "complex") else f"{number:.9g}"


def _unravel_index(flat_index: int, kind: str) -> tuple[int, ...]:
    """The place of element *flat_index* of an array of *kind*, C order; ``()`` of a scalar."""
    found = re.search(r"\[([\d, ]+)\]$", kind)
    lengths = [int(each) for each in found[1].split(",") if each.strip()] if found else []
    index: list[int] = []
    for length in reversed(lengths):
        flat_index, place = divmod(flat_index, max(length, 1))
        index.insert(0, place)
    return tuple(index)


def find_farthest(mismatches: Sequence[ValueMismatch]) -> tuple[float, str]:
    """The largest distance among *mismatches*, and the name of that value; ``(0, "")`` where none is known."""
    known = [(each.difference.max_abs, each.name) for each in mismatches if each.difference is not None]
    return max(((far, name) for far, name in known if far is not None), default=(0.0, ""))


def differs_in_bits_only(mismatch: ValueMismatch) -> bool:
    """Whether it differs in bits that its numbers do not show: the sign of a zero, the bits of a NaN."""
    return mismatch.difference is not None and not mismatch.difference.differing
