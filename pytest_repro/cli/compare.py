"""Compares two machines by their reports, test by test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_repro.cli.compare_values import ValueMismatch, compare_value
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.compare.verdict import VERDICT_OUTCOMES, WITHOUT_BASELINE
from pytest_repro.core.plan.tolerance import EXACT, Tolerance
from pytest_repro.reports.json.report import BadReport, Report
from pytest_repro.reports.json.rows import value_from_row

Outcome = Literal["equal", "close", "differs", "only in A", "only in B", "not compared", "ignored"]

_NEUTRAL_VERDICTS = ("skipped", "unobserved")
"""Verdicts without values, which are no difference if both machines have the same."""


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """How close two machines must be.

    Attributes:
        tolerance: For numbers; everything else must be equal.
        use_statistics: Whether arrays of which only statistics are known are close if those are.
    """

    tolerance: Tolerance = EXACT
    use_statistics: bool = False


@dataclass(frozen=True, slots=True)
class ReportedTest:
    """A test in one report.

    Attributes:
        runs_agree: Whether its runs are equal, whatever the golden file holds.
        seed: Seed of its runs.
        values: What its reference run observed, by name.
    """

    nodeid: str
    verdict: str
    runs_agree: bool
    seed: int
    values: Mapping[str, StoredValue]


@dataclass(frozen=True, slots=True)
class ComparedTest:
    """A test in both reports.

    Attributes:
        outcome: ``"close"`` is within the tolerance, ``"not compared"`` is not reproducible on one
            machine alone, ``"ignored"`` is skipped or observed nothing on both.
        reason: Verdicts or seeds that explain the outcome.
        value_count: Number of values in both reports.
        mismatches: Values that differ or are close, in the order of recording.
        agrees: Whether the machines agree on this test.
    """

    nodeid: str
    outcome: Outcome
    reason: str = ""
    value_count: int = 0
    mismatches: tuple[ValueMismatch, ...] = ()
    agrees: bool = False


def read_tests(report: Report) -> dict[tuple[str, int], ReportedTest]:
    """The tests of *report* by node id and by their number among those with this id.

    Raises:
        BadReport: A row is malformed, or has no values to compare.
    """
    tests: dict[tuple[str, int], ReportedTest] = {}
    counts: Counter[str] = Counter()
    for row in report.tests:
        if row.get("verdict") is None and any(row.get(key) for key in ("sweep", "noise", "cost")):
            continue  # runs=1: nothing was compared
        test = _read_test(row, report.seed)
        tests[test.nodeid, counts[test.nodeid]] = test
        counts[test.nodeid] += 1
    return tests


def _read_test(row: JsonNode, seed: int) -> ReportedTest:
    nodeid, verdict = row["nodeid"].as_text(), row["verdict"].as_text(*VERDICT_OUTCOMES)
    observations, plan = row.get("observations"), row.get("plan")
    if observations is None and verdict == "reproduced":
        why = f"{nodeid} has no values, since an older pytest-repro wrote the report; write it again"
        raise BadReport(f"{row.location}: {why}")
    # A test is compared with its golden file only if its runs agree.
    golden = verdict == "diverged" and row.get("baseline") is not None
    agree = observations is not None and (verdict in ("reproduced", *WITHOUT_BASELINE) or golden)
    values = dict(_read_values(observations or ()))
    return ReportedTest(nodeid, verdict, agree, plan["seed"].as_int() if plan else seed, values)


def _read_values(rows: JsonNode | tuple[()]) -> Iterator[tuple[str, StoredValue]]:
    counts: Counter[str] = Counter()
    for row in rows:
        value = value_from_row(row)
        number = counts[value.name]  # the dict keys 1 and "1", say, give two values one name
        counts[value.name] += 1
        yield f"{value.name}#{number}" if number else value.name, value


def compare_reports(a: Report, b: Report, options: CompareOptions) -> list[ComparedTest]:
    """Every test of two reports, in the order of the first, then of the second.

    Raises:
        BadReport: A row is malformed.
    """
    left, right = read_tests(a), read_tests(b)
    return [_compare_test(left.get(key), right.get(key), options) for key in {**left, **right}]


def _compare_test(a: ReportedTest | None, b: ReportedTest | None, options: CompareOptions) -> ComparedTest:
    if a is None or b is None:
        test = a or b
        assert test is not None
        return ComparedTest(test.nodeid, "only in A" if b is None else "only in B", test.verdict)
    if not (a.runs_agree and b.runs_agree):
        ignored = a.verdict == b.verdict and a.verdict in _NEUTRAL_VERDICTS
        outcome: Outcome = "ignored" if ignored else "not compared"
        return ComparedTest(a.nodeid, outcome, _format_verdicts(a, b), agrees=ignored)
    reasons = [f"seed {a.seed} in A, {b.seed} in B"] if a.seed != b.seed else []
    reasons += [_format_verdicts(a, b)] if {a.verdict, b.verdict} != {"reproduced"} else []
    mismatches = tuple(_compare_values(a, b, options))
    differs = not all(mismatch.close for mismatch in mismatches)
    outcome = "differs" if differs else "close" if mismatches else "equal"
    shared = len(a.values.keys() & b.values.keys())
    return ComparedTest(a.nodeid, outcome, ", ".join(reasons), shared, mismatches, not differs)


def _format_verdicts(a: ReportedTest, b: ReportedTest) -> str:
    first, second = map(_format_verdict, (a, b))
    return f"{first} on both" if first == second else f"{first} in A, {second} in B"


def _format_verdict(test: ReportedTest) -> str:
    golden = test.runs_agree and test.verdict == "diverged"
    return "differs from its golden file" if golden else test.verdict


def _compare_values(a: ReportedTest, b: ReportedTest, options: CompareOptions) -> Iterator[ValueMismatch]:
    for name in {**a.values, **b.values}:
        x, y = a.values.get(name), b.values.get(name)
        mismatch = compare_value(name, x, y, options.tolerance, options.use_statistics)
        if mismatch is not None:
            yield mismatch


def diff_environments(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The fields of two environments that differ, with both values; ``""`` for a missing one."""
    return {n: (a.get(n, ""), b.get(n, "")) for n in {**a, **b} if a.get(n) != b.get(n)}


def machines_agree(tests: Sequence[ComparedTest]) -> bool:
    """Whether something was compared and nothing differs."""
    return all(test.agrees for test in tests) and any(test.outcome in ("equal", "close") for test in tests)
