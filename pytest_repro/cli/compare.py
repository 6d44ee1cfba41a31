"""Two machines by their reports: test by test, value by value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_repro.cli.compare_values import Apart, apart
from pytest_repro.core.compare.verdict import UNKNOWN, WORDS
from pytest_repro.core.golden.value_summary import Account
from pytest_repro.core.plan.tolerance import EXACT, Tolerance
from pytest_repro.reports.json.checked import BadReport, Place, Report
from pytest_repro.reports.json.values import account_of

Word = Literal["equal", "close", "differs", "only in A", "only in B", "not compared", "passed over"]

_NEUTRAL = ("skipped", "unobserved")
"""Verdicts that are no difference where both machines gave them: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How close two machines must be.

    Attributes:
        tolerance: Of numbers; everything else must be equal.
        statistics: Whether arrays of which only statistics are known count as close where those are.
    """

    tolerance: Tolerance = EXACT
    statistics: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A test as one report tells it.

    Attributes:
        nodeid: pytest's own node id.
        verdict: The verdict word.
        agree: Whether its runs gave the same there, whatever the golden file says.
        seed: What its generators were given.
        accounts: What its reference run observed, by name.
    """

    nodeid: str
    verdict: str
    agree: bool
    seed: int
    accounts: Mapping[str, Account]


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of one test.

    Attributes:
        nodeid: pytest's own node id.
        word: ``"equal"``, ``"close"`` (within the tolerance), ``"differs"``, ``"only in A"``,
            ``"only in B"``, ``"not compared"`` (on one machine alone it is not reproducible), or
            ``"passed over"`` (both skipped it, or observed nothing).
        why: A word more: the verdicts, the seeds.
        values: Number of values that both have recorded.
        apart: What differs, or is close, in the order of recording.
        fine: Whether the machines agree as far as this test goes.
    """

    nodeid: str
    word: Word
    why: str = ""
    values: int = 0
    apart: tuple[Apart, ...] = ()
    fine: bool = False


def seen(report: Report) -> dict[tuple[str, int], Seen]:
    """The tests of *report* by node id, and by which of those with this id it is.

    Raises:
        BadReport: A row does not fit, or holds no values to compare.
    """
    found: dict[tuple[str, int], Seen] = {}
    times: Counter[str] = Counter()
    for row in report.tests:
        if row.get("verdict") is None and any(row.get(each) for each in ("sweep", "noise", "cost")):
            continue  # runs=1: nothing was compared
        test = _seen(row, report.seed)
        found[test.nodeid, times[test.nodeid]] = test
        times[test.nodeid] += 1
    return found


def _seen(row: Place, seed: int) -> Seen:
    nodeid, verdict, told = row["nodeid"].text(), row["verdict"].text(*WORDS), row.get("observations")
    if told is None and verdict == "reproduced":
        why = f"{nodeid} is reproduced, and its values are not there"
        raise BadReport(f"{row.where}: {why}: an older pytest-repro wrote it; write it again")
    plan = row.get("plan")
    own = plan["seed"].whole() if plan else seed
    # A golden file is asked only where the runs agree.
    agree = verdict in ("reproduced", *UNKNOWN) or (verdict == "diverged" and row.get("baseline") is not None)
    return Seen(nodeid, verdict, agree and told is not None, own, dict(_named(told or ())))


def _named(rows: Place | tuple[()]) -> Iterator[tuple[str, Account]]:
    times: Counter[str] = Counter()
    for row in rows:
        found = account_of(row)
        again = times[found.name]  # a dict with the keys 1 and "1", say, gives two values one name
        times[found.name] += 1
        yield f"{found.name}#{again}" if again else found.name, found


def compared(a: Report, b: Report, asked: Asked) -> list[Compared]:
    """Every test of two reports, in the order of the first, then of the second.

    Raises:
        BadReport: A row does not fit.
    """
    left, right = seen(a), seen(b)
    return [_test(left.get(key), right.get(key), asked) for key in {**left, **right}]


def _test(a: Seen | None, b: Seen | None, asked: Asked) -> Compared:
    if a is None or b is None:
        there = a or b
        assert there is not None
        return Compared(there.nodeid, "only in A" if b is None else "only in B", f"{there.verdict} there")
    if not (a.agree and b.agree):
        same = a.verdict == b.verdict
        why = _verdicts(a, b)
        over = same and a.verdict in _NEUTRAL
        return Compared(a.nodeid, "passed over" if over else "not compared", why, fine=over)
    names = {**a.accounts, **b.accounts}
    found = [each for name in names if (each := _value(a, b, name, asked))]
    both = sum(name in a.accounts and name in b.accounts for name in names)
    said = [f"seed {a.seed} in A, {b.seed} in B"] if a.seed != b.seed else []
    said += [_verdicts(a, b)] if (a.verdict, b.verdict) != ("reproduced", "reproduced") else []
    why = ", ".join(said)
    word: Word = "equal" if not found else "close" if all(each.close for each in found) else "differs"
    return Compared(a.nodeid, word, why, both, tuple(found), word != "differs")


def _verdicts(a: Seen, b: Seen) -> str:
    one, other = (_said(each) for each in (a, b))
    return f"{one} on both" if one == other else f"{one} in A, {other} in B"


def _said(test: Seen) -> str:
    return "not as its golden file" if test.agree and test.verdict == "diverged" else test.verdict


def _value(a: Seen, b: Seen, name: str, asked: Asked) -> Apart | None:
    return apart(name, a.accounts.get(name), b.accounts.get(name), asked.tolerance, asked.statistics)


def unlike(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The fields of two environments that differ, with both sides; ``""`` where one has none."""
    return {n: (a.get(n, ""), b.get(n, "")) for n in {**a, **b} if a.get(n) != b.get(n)}


def agree(tests: Sequence[Compared]) -> bool:
    """Whether two machines agree: something was compared, and nothing differs."""
    return all(test.fine for test in tests) and any(test.word in ("equal", "close") for test in tests)
