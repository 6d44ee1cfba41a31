"""Two machines by their reports: test by test, value by value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_repro.cli.compare_values import ValueMismatch, compare_value
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.verdict import VERDICT_OUTCOMES, WITHOUT_BASELINE
from pytest_repro.core.golden.stored_value import StoredValue
from pytest_repro.core.plan.tolerance import EXACT, Tolerance
from pytest_repro.reports.json.report import BadReport, Report
from pytest_repro.reports.json.rows import value_from_row

Outcome = Literal["equal", "close", "differs", "only in A", "only in B", "not compared", "passed over"]

_NEUTRAL_VERDICTS = ("skipped", "unobserved")
"""Verdicts that are no difference where both machines gave them: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """How close two machines must be.

    Attributes:
        tolerance: Of numbers; everything else must be equal.
        use_statistics: Whether arrays of which only statistics are known count as close where those are.
    """

    tolerance: Tolerance = EXACT
    use_statistics: bool = False


@dataclass(frozen=True, slots=True)
class ReportedTest:
    """A test as one report tells it.

    Attributes:
        nodeid: pytest's own node id.
        verdict: The verdict word.
        runs_agree: Whether its runs gave the same there, whatever the golden file says.
        seed: What its generators were given.
        values: What its reference run observed, by name.
    """

    nodeid: str
    verdict: str
    runs_agree: bool
    seed: int
    values: Mapping[str, StoredValue]


@dataclass(frozen=True, slots=True)
class ComparedTest:
    """What became of one test.

    Attributes:
        nodeid: pytest's own node id.
        outcome: ``"equal"``, ``"close"`` (within the tolerance), ``"differs"``, ``"only in A"``,
            ``"only in B"``, ``"not compared"`` (on one machine alone it is not reproducible), or
            ``"passed over"`` (both skipped it, or observed nothing).
        reason: A word more: the verdicts, the seeds.
        value_count: Number of values that both have recorded.
        mismatches: What differs, or is close, in the order of recording.
        agrees: Whether the machines agree as far as this test goes.
    """

    nodeid: str
    outcome: Outcome
    reason: str = ""
    value_count: int = 0
    mismatches: tuple[ValueMismatch, ...] = ()
    agrees: bool = False


def read_tests(report: Report) -> dict[tuple[str, int], ReportedTest]:
    """The tests of *report* by node id, and by which of those with this id it is.

    Raises:
        BadReport: A row does not fit, or holds no values to compare.
    """
    found: dict[tuple[str, int], ReportedTest] = {}
    times: Counter[str] = Counter()
    for row in report.tests:
        if row.get("verdict") is None and any(row.get(each) for each in ("sweep", "noise", "cost")):
            continue  # runs=1: nothing was compared
        test = _read_test(row, report.seed)
        found[test.nodeid, times[test.nodeid]] = test
        times[test.nodeid] += 1
    return found


def _read_test(row: JsonNode, seed: int) -> ReportedTest:
    nodeid, verdict, told = (
        row["nodeid"].as_text(),
        row["verdict"].as_text(*VERDICT_OUTCOMES),
        row.get("observations"),
    )
    if told is None and verdict == "reproduced":
        why = f"{nodeid} is reproduced, and its values are not there"
        raise BadReport(f"{row.location}: {why}: an older pytest-repro wrote it; write it again")
    plan = row.get("plan")
    own = plan["seed"].as_int() if plan else seed
    # A golden file is asked only where the runs agree.
    agree = verdict in ("reproduced", *WITHOUT_BASELINE) or (
        verdict == "diverged" and row.get("baseline") is not None
    )
    return ReportedTest(nodeid, verdict, agree and told is not None, own, dict(_read_values(told or ())))


def _read_values(rows: JsonNode | tuple[()]) -> Iterator[tuple[str, StoredValue]]:
    times: Counter[str] = Counter()
    for row in rows:
        found = value_from_row(row)
        again = times[found.name]  # a dict with the keys 1 and "1", say, gives two values one name
        times[found.name] += 1
        yield f"{found.name}#{again}" if again else found.name, found


def compare_reports(a: Report, b: Report, options: CompareOptions) -> list[ComparedTest]:
    """Every test of two reports, in the order of the first, then of the second.

    Raises:
        BadReport: A row does not fit.
    """
    left, right = read_tests(a), read_tests(b)
    return [_compare_test(left.get(key), right.get(key), options) for key in {**left, **right}]


def _compare_test(a: ReportedTest | None, b: ReportedTest | None, options: CompareOptions) -> ComparedTest:
    if a is None or b is None:
        there = a or b
        assert there is not None
        return ComparedTest(there.nodeid, "only in A" if b is None else "only in B", f"{there.verdict} there")
    if not (a.runs_agree and b.runs_agree):
        same = a.verdict == b.verdict
        why = _format_verdicts(a, b)
        over = same and a.verdict in _NEUTRAL_VERDICTS
        return ComparedTest(a.nodeid, "passed over" if over else "not compared", why, agrees=over)
    names = {**a.values, **b.values}
    found = [each for name in names if (each := _compare_value(a, b, name, options))]
    both = sum(name in a.values and name in b.values for name in names)
    said = [f"seed {a.seed} in A, {b.seed} in B"] if a.seed != b.seed else []
    said += [_format_verdicts(a, b)] if (a.verdict, b.verdict) != ("reproduced", "reproduced") else []
    why = ", ".join(said)
    word: Outcome = "equal" if not found else "close" if all(each.close for each in found) else "differs"
    return ComparedTest(a.nodeid, word, why, both, tuple(found), word != "differs")


def _format_verdicts(a: ReportedTest, b: ReportedTest) -> str:
    one, other = (_format_verdict(each) for each in (a, b))
    return f"{one} on both" if one == other else f"{one} in A, {other} in B"


def _format_verdict(test: ReportedTest) -> str:
    return "not as its golden file" if test.runs_agree and test.verdict == "diverged" else test.verdict


def _compare_value(
    a: ReportedTest, b: ReportedTest, name: str, options: CompareOptions
) -> ValueMismatch | None:
    return compare_value(
        name, a.values.get(name), b.values.get(name), options.tolerance, options.use_statistics
    )


def diff_environments(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The fields of two environments that differ, with both sides; ``""`` where one has none."""
    return {n: (a.get(n, ""), b.get(n, "")) for n in {**a, **b} if a.get(n) != b.get(n)}


def machines_agree(tests: Sequence[ComparedTest]) -> bool:
    """Whether two machines agree: something was compared, and nothing differs."""
    return all(test.agrees for test in tests) and any(test.outcome in ("equal", "close") for test in tests)
