"""Compares two machines by their reports, test by test and value by value."""

from __future__ import annotations

import cmath
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from pytest_repro.cli.reported import DEFAULT_RULES, ReportedTest, Rules, parse_shape, read_tests
from pytest_repro.core.blocks import unravel_index
from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.compare.stored_value import (
    Number,
    Statistics,
    StoredValue,
    compare_statistics,
    find_other_kind,
)
from pytest_repro.core.plan.plan import EXACT, Tolerance
from pytest_repro.core.runs.observation import is_coded
from pytest_repro.reports.json.report import Report

Outcome = Literal["differs", "only in A", "only in B", "not compared", "close", "ignored", "equal"]
"""Most important first. Not compared: not reproducible on one machine alone; ignored: no values on both."""

NEUTRAL_VERDICTS = ("skipped", "unobserved")  # no difference if both machines have the same


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """How close two machines must be."""

    tolerance: Tolerance = EXACT  # for numbers; everything else must be equal
    use_statistics: bool = False  # whether arrays of which only statistics are known are close if those are
    ignores_markers: bool = False  # whether *tolerance* also applies to tests whose marker has one

    def apply_rules(self, rules: Rules) -> CompareOptions:
        """These options for a test with *rules*."""
        return self if self.ignores_markers else replace(self, tolerance=rules.tolerance)


@dataclass(frozen=True, slots=True)
class ValueMismatch:
    """A value whose bits differ between two reports, or which one of them lacks."""

    name: str
    a: StoredValue | None
    b: StoredValue | None
    difference: Difference | None = None  # how far, if the elements are known
    close: bool = False  # whether it is within the tolerance


@dataclass(frozen=True, slots=True)
class ComparedTest:
    """A test in both reports."""

    nodeid: str
    outcome: Outcome
    reason: str = ""  # verdicts, seeds or markers that explain the outcome
    value_count: int = 0
    mismatches: tuple[ValueMismatch, ...] = ()  # the values that are not equal bit for bit
    by_marker: bool = False  # whether a tolerance or a level of its marker applied


def compare_reports(a: Report, b: Report, options: CompareOptions) -> list[ComparedTest]:
    """Every test of two reports, in the order of the first, then of the second.

    Raises:
        BadReport: A row is malformed, or has no values to compare.
    """
    left, right = read_tests(a), read_tests(b)
    return [_compare_test(left.get(key), right.get(key), options) for key in {**left, **right}]


def machines_agree(tests: Sequence[ComparedTest]) -> bool:
    """Whether something was compared and nothing differs."""
    outcomes = {test.outcome for test in tests}
    return outcomes <= {"equal", "close", "ignored"} and bool(outcomes & {"equal", "close"})


def _compare_test(a: ReportedTest | None, b: ReportedTest | None, options: CompareOptions) -> ComparedTest:
    if a is None or b is None:
        (test,) = (each for each in (a, b) if each is not None)
        return ComparedTest(test.nodeid, "only in A" if b is None else "only in B", test.verdict)
    if not (a.runs_agree and b.runs_agree):
        ignored = a.verdict == b.verdict and a.verdict in NEUTRAL_VERDICTS
        outcome: Outcome = "ignored" if ignored else "not compared"
        return ComparedTest(a.nodeid, outcome, _format_verdicts(a, b))
    reasons = [f"seed {a.seed} in A, {b.seed} in B"] if a.seed != b.seed else []
    reasons += [_format_verdicts(a, b)] if {a.verdict, b.verdict} != {"reproduced"} else []
    reasons += [f"{a.rules} in A, {b.rules} in B"] if a.rules != b.rules else []
    rules = a.rules if a.rules == b.rules else DEFAULT_RULES
    options = options.apply_rules(rules)
    pairs = ((name, a.values.get(name), b.values.get(name)) for name in {**a.values, **b.values})
    mismatches = tuple(filter(None, (compare_value(*pair, options) for pair in pairs)))
    is_close = all(mismatch.close for mismatch in mismatches)
    outcome = "equal" if not mismatches else "close" if is_close else "differs"
    shared = len(a.values.keys() & b.values.keys())
    by_marker = rules.level != DEFAULT_RULES.level or not (options.ignores_markers or rules.tolerance.exact)
    return ComparedTest(a.nodeid, outcome, ", ".join(reasons), shared, mismatches, by_marker)


def _format_verdicts(*tests: ReportedTest) -> str:
    first, second = (
        "differs from its golden file" if test.runs_agree and test.verdict == "diverged" else test.verdict
        for test in tests
    )
    return f"{first} on both" if first == second else f"{first} in A, {second} in B"


def compare_value(
    name: str, a: StoredValue | None, b: StoredValue | None, options: CompareOptions
) -> ValueMismatch | None:
    """The mismatch of one value; None if it is equal bit for bit."""
    if a is None or b is None or find_other_kind(a, b):
        return ValueMismatch(name, a, b)
    if a.digest == b.digest:
        return None
    if a.values is not None and b.values is not None and len(a.values) == len(b.values):
        difference = measure_difference(a.values, b.values, a.kind, options.tolerance)
        # Digests differ for equal numbers: 0.0 and -0.0, NaN with other bits. Those are close.
        close = not options.tolerance.exact and not difference.outside_tolerance
        return ValueMismatch(name, a, b, difference, close)
    close = options.use_statistics and _are_statistics_close(a.statistics, b.statistics, options.tolerance)
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
        first_index=None if first is None else unravel_index(first, parse_shape(kind)),
        first_values=None if first is None else (_format(a[first], kind), _format(b[first], kind)),
        non_finite=len(unequal) - len(finite),
    )


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


def _max_or_none(numbers: Sequence[float]) -> float | None:
    return min(max(numbers), sys.float_info.max) if numbers else None


def _format(number: Number, kind: str) -> str:
    """*number* with the digits of its dtype: those of a float32 are not padded to float64; or as a date."""
    if is_coded(kind):
        from pytest_repro.values.elements import format_as_kind

        return format_as_kind(kind, str(number))
    full = ("float64", "float[", "complex128", "longdouble")
    is_full = isinstance(number, int) or kind in ("float", "complex") or kind.startswith(full)
    return str(number) if is_full else f"{number:.9g}"
