"""What is said of two machines: environment, what differs, counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pytest_repro.cli.compare import ComparedTest, CompareOptions, Outcome, diff_environments
from pytest_repro.cli.compare_values import ValueMismatch, differs_in_bits_only, find_farthest
from pytest_repro.core.compare.statistics import Statistics, compare_statistics
from pytest_repro.core.golden.stored_value import MAX_VALUES
from pytest_repro.reports.failure.values import MAX_FULL_TEXTS, MAX_NAMES, format_distance
from pytest_repro.reports.json.report import Report

_MAX_DETAILED = 20
"""Tests told in full; of the others one line."""

_OUTCOME_ORDER: tuple[Outcome, ...] = (
    "differs", "only in A", "only in B", "not compared", "close", "passed over", "equal",
)  # fmt: skip
"""Those to be mended first."""


def format_comparison(
    a: Report, b: Report, tests: Sequence[ComparedTest], options: CompareOptions
) -> Iterator[str]:
    """Everything that is said of two reports, in lines."""
    yield from _format_heads(a, b)
    yield ""
    yield from format_environments(a, b)
    yield ""
    bad = [test for test in tests if test.outcome != "equal"]
    for number, test in enumerate(sorted(bad, key=lambda each: _OUTCOME_ORDER.index(each.outcome))):
        yield from _format_test(test, detailed=number < _MAX_DETAILED)
    yield from [""] if bad else []
    yield from _format_totals(tests, options)


def _format_heads(a: Report, b: Report) -> Iterator[str]:
    width = max(len(a.path), len(b.path))
    for side, report in (("A", a), ("B", b)):
        yield f"{side}  {report.path:<{width}}  {_format_count(len(report.tests), 'test')}, seed {report.seed}"


def _format_count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def format_environments(a: Report, b: Report) -> Iterator[str]:
    """The fields that differ, with both sides."""
    found, known = diff_environments(a.environment, b.environment), {**a.environment, **b.environment}
    if not found:
        yield f"environment  all {_format_count(len(known), 'field')} equal"
        return
    yield f"environment  {len(found)} of {_format_count(len(known), 'field')} differ{'s' * (len(found) == 1)}"
    width = max(map(len, found))
    for name, (here, there) in found.items():
        yield f"  {name:<{width}}  {here or 'not there'} in A, {there or 'not there'} in B"


def _format_test(test: ComparedTest, detailed: bool) -> Iterator[str]:
    yield f"{test.outcome}  {test.nodeid}  {format_headline(test)}".rstrip()
    if detailed and test.outcome == "differs":
        yield from format_values([each for each in test.mismatches if not each.close])


def format_headline(test: ComparedTest) -> str:
    """One test in a few words: ``loss[5] and 16 more differ, max abs 0.00148``."""
    why = f"{test.reason}: " if test.reason and test.mismatches else test.reason
    if not test.mismatches:
        return why
    far, name = find_farthest(test.mismatches)
    if test.outcome == "close":
        where = f", farthest max abs {far:.3g} at {name}" if name else ""
        return f"{why}{len(test.mismatches):,} of {_format_count(test.value_count, 'value')} not equal to the bit{where}"
    found = [each for each in test.mismatches if not each.close]
    more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    first = found[0].difference
    apart = f", max abs {first.max_abs:.3g}" if first is not None and first.max_abs is not None else ""
    return f"{why}{found[0].name}{more} differ{'s' * (len(found) == 1)}{apart}"


def format_values(mismatches: Sequence[ValueMismatch]) -> Iterator[str]:
    """What differs, one value at a time: of a series or a list the first, of the many only the names."""
    families: dict[str, list[ValueMismatch]] = {}
    for each in mismatches:
        families.setdefault(re.sub(r"\[\d+\]", "[]", each.name), []).append(each)
    for family in list(families.values())[:MAX_FULL_TEXTS]:
        yield from _format_value(family[0])
        if len(family) > 1:
            verb = "differs" if len(family) == 2 else "differ"
            yield f"    {len(family) - 1:,} more of {family[0].name.partition('[')[0]} {verb} too"
    rest = [family[0].name for family in list(families.values())[MAX_FULL_TEXTS:]]
    if rest:
        more = f", and {len(rest) - MAX_NAMES} more" if len(rest) > MAX_NAMES else ""
        yield f"  likewise   {', '.join(rest[:MAX_NAMES])}{more}"


def _format_value(mismatch: ValueMismatch) -> Iterator[str]:
    a, b = mismatch.a, mismatch.b
    if a is None or b is None:
        there = a or b
        yield f"  {mismatch.name}   {there.kind if there else ''}   recorded in {'B' if a is None else 'A'} only"
        return
    if a.kind != b.kind:
        yield f"  {mismatch.name}   {a.kind} in A, {b.kind} in B"
        return
    yield f"  {mismatch.name}   {a.kind}"
    if differs_in_bits_only(mismatch):
        yield "    in bits that the numbers do not show: the sign of a zero, or the bits of a NaN"
    elif mismatch.difference is not None:
        yield f"    {format_distance(mismatch.difference)}"
        yield from _format_first_element(mismatch)
    elif a.text is not None and b.text is not None:
        beyond = "further on" if a.text == b.text else f"{a.text!r} in A, {b.text!r} in B"
        yield f"    {beyond}"
    elif a.statistics is not None and b.statistics is not None:
        yield from _format_statistics(a.statistics, b.statistics)
    else:
        yield "    how far is not known: the reports hold the digests alone"


def _format_first_element(mismatch: ValueMismatch) -> Iterator[str]:
    far = mismatch.difference
    if far is not None and far.first_values is not None:
        index = f"first at {list(far.first_index)}: " if far.first_index else ""
        yield f"    {index}{far.first_values[0]} in A, {far.first_values[1]} in B"


def _format_statistics(a: Statistics, b: Statistics) -> Iterator[str]:
    yield f"    more than {MAX_VALUES} elements: only statistics are known"
    found = list(compare_statistics(a, b))
    width = max([10, *(len(each.name) for each in found)])
    for name, x, y in found:
        yield f"      {name:<{width}} {_format_number(x, y)} in A, {_format_number(y, x)} in B"
    if not found:
        yield "      which are equal"


def _format_number(number: float | str | None, other: float | str | None) -> str:
    if number is None or isinstance(number, str):
        return number or "none"
    short = f"{number:.9g}"
    return repr(number) if isinstance(other, (int, float)) and short == f"{other:.9g}" else short


def _format_totals(tests: Sequence[ComparedTest], options: CompareOptions) -> Iterator[str]:
    close = options.tolerance
    how = "bit for bit" if close.exact else f"within rtol {close.rtol:g} and atol {close.atol:g}"
    counts = Counter(test.outcome for test in tests)
    words = {"differs": "differs" if counts["differs"] == 1 else "differ"}
    said = ", ".join(
        f"{counts[word]:,} {words.get(word, word)}" for word in reversed(_OUTCOME_ORDER) if counts[word]
    )
    yield f"compared {how}: {said or 'no tests'}"
    if not any(test.outcome in ("equal", "close", "differs") for test in tests):
        yield "no test was compared: the machines do not count as equal"
    if counts["not compared"]:
        yield "a test that is not reproducible on its own machine counts as a difference: mend it there first"
    if not (close.exact or options.use_statistics) and (
        unknown := sum(_count_statistics_only(test.mismatches) for test in tests)
    ):
        what = f"{_format_count(unknown, 'value')} of more than {MAX_VALUES} elements count{'s' * (unknown == 1)} as different"
        yield f"{what}, however close: of these, reports hold statistics only."
        yield f"Record {MAX_VALUES} elements of each or fewer, or have the statistics compared with --statistics"


def _count_statistics_only(mismatches: Iterable[ValueMismatch]) -> int:
    """Of how many values only statistics are known."""
    sides = ((each.a, each.b) for each in mismatches)
    return sum(bool(a and b and a.statistics and b.statistics and a.kind == b.kind) for a, b in sides)
