"""Compares one value of two reports."""

from __future__ import annotations

import cmath
import math
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.compare.stored_value import Number, Statistics, StoredValue, compare_statistics
from pytest_repro.core.plan.tolerance import Tolerance


@dataclass(frozen=True, slots=True)
class ValueMismatch:
    """One value whose bits differ between two reports.

    Attributes:
        name: ``loss[3]``.
        a: The value in report A; None if it is missing there.
        b: The value in report B.
        difference: How far, if the elements are known.
        close: Whether it is within the tolerance.
    """

    name: str
    a: StoredValue | None
    b: StoredValue | None
    difference: Difference | None = None
    close: bool = False


def compare_value(
    name: str, a: StoredValue | None, b: StoredValue | None, tolerance: Tolerance, use_statistics: bool
) -> ValueMismatch | None:
    """The mismatch of one value; None if it is equal bit for bit.

    Args:
        name: Name of the value.
        a: The value in report A; None if it is missing there.
        b: The value in report B.
        tolerance: ``|b - a| <= atol + rtol * |a|``, for numbers of equal kind.
        use_statistics: Whether arrays of which only statistics are known are close if those are.
            Their elements may still differ.
    """
    if a is None or b is None or a.kind != b.kind:
        return ValueMismatch(name, a, b)
    if a.digest == b.digest:
        return None
    if a.values is not None and b.values is not None and len(a.values) == len(b.values):
        difference = measure_difference(a.values, b.values, a.kind, tolerance)
        # Digests differ for equal numbers: 0.0 and -0.0, NaN with other bits. Those are close.
        return ValueMismatch(name, a, b, difference, not tolerance.exact and not difference.outside_tolerance)
    close = use_statistics and _are_statistics_close(a.statistics, b.statistics, tolerance)
    return ValueMismatch(name, a, b, close=close)


def _are_statistics_close(a: Statistics | None, b: Statistics | None, tolerance: Tolerance) -> bool:
    if a is None or b is None or a.non_finite != b.non_finite or tolerance.exact:
        return False
    pairs = [(_parse_number(x), _parse_number(y)) for _, x, y in compare_statistics(a, b)]
    return all(x is not None and y is not None and _is_close(x, y, tolerance) for x, y in pairs)


def _parse_number(value: float | str | None) -> Number | None:
    """A statistic as a number; None if it is not one, such as an element of an array of bools."""
    if not isinstance(value, str):
        return value
    for parse in (int, float, complex):
        with suppress(ValueError):
            return parse(value)
    return None


def _are_equal(a: Number, b: Number) -> bool:
    return a == b or (cmath.isnan(a) and cmath.isnan(b))


def _is_close(a: Number, b: Number, tolerance: Tolerance) -> bool:
    if _are_equal(a, b):
        return True
    limit = tolerance.atol + tolerance.rtol * _magnitude(a)
    return cmath.isfinite(a) and cmath.isfinite(b) and _magnitude(b - a) <= limit


def _magnitude(number: Number) -> float:
    # abs() of a complex number raises where the magnitude exceeds the largest float.
    return math.hypot(number.real, number.imag) if isinstance(number, complex) else float(abs(number))


def measure_difference(
    a: Sequence[Number], b: Sequence[Number], kind: str, tolerance: Tolerance
) -> Difference:
    """How far the elements *b* are from as many elements *a*, in C order; *kind* is ``"float32[4, 8]"``."""
    unequal = [n for n, (x, y) in enumerate(zip(a, b)) if not _are_equal(x, y)]
    finite = [n for n in unequal if cmath.isfinite(a[n]) and cmath.isfinite(b[n])]
    gaps = [_magnitude(b[n] - a[n]) for n in finite]
    first = unequal[0] if unequal else None
    return Difference(
        differing=len(unequal),
        total=len(a),
        outside_tolerance=sum(not _is_close(a[n], b[n], tolerance) for n in unequal),
        max_abs=_max_or_none(gaps),
        max_rel=_max_or_none([gap / _magnitude(a[n]) for n, gap in zip(finite, gaps) if a[n]]),
        first_index=None if first is None else _unravel_index(first, kind),
        first_values=None if first is None else (_format(a[first], kind), _format(b[first], kind)),
        non_finite=len(unequal) - len(finite),
    )


def _max_or_none(numbers: Sequence[float]) -> float | None:
    return min(max(numbers), sys.float_info.max) if numbers else None


def _format(number: Number, kind: str) -> str:
    """*number* with the digits of its dtype: those of a float32 are not padded to float64."""
    full = ("float64", "float[", "complex128", "longdouble")
    if isinstance(number, int) or kind in ("float", "complex") or kind.startswith(full):
        return str(number)
    return f"{number:.9g}"


def _unravel_index(flat_index: int, kind: str) -> tuple[int, ...]:
    """The index of an element of an array of *kind*, C order; ``()`` for a scalar."""
    shape = re.search(r"\[([\d, ]+)\]$", kind)
    index: list[int] = []
    for length in reversed(shape[1].split(",") if shape else []):
        flat_index, place = divmod(flat_index, max(int(length), 1))
        index.insert(0, place)
    return tuple(index)


def find_farthest(mismatches: Sequence[ValueMismatch]) -> tuple[float, str]:
    """The largest ``max_abs`` and the name of its value; ``(0, "")`` if none is known."""
    known = [(m.difference.max_abs, m.name) for m in mismatches if m.difference is not None]
    return max(((far, name) for far, name in known if far is not None), default=(0.0, ""))


def differs_in_bits_only(mismatch: ValueMismatch) -> bool:
    """Whether only bits differ that the numbers do not show: the sign of a zero, the bits of a NaN."""
    return mismatch.difference is not None and not mismatch.difference.differing
