"""The text of ``pytest-repro compare``: environments, differences, counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pytest_repro.cli.compare import ComparedTest, CompareOptions, Outcome, ValueMismatch
from pytest_repro.core.compare.stored_value import MAX_VALUES, Statistics, compare_statistics, find_other_kind
from pytest_repro.core.runs.observation import BYTES_KINDS
from pytest_repro.reports.failure import format_tolerance, plural
from pytest_repro.reports.failure.values import (
    MAX_FULL_TEXTS,
    format_difference,
    format_differing_names,
    format_max_abs,
    format_other_names,
)
from pytest_repro.reports.json.report import Report

_MAX_DETAILED = 20  # tests with values; the others have one line each
_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_TOTALS: tuple[Outcome, ...] = (
    "equal", "ignored", "close", "not compared", "only in A", "only in B", "differs",
)  # fmt: skip


def format_comparison(
    a: Report, b: Report, tests: Sequence[ComparedTest], options: CompareOptions
) -> Iterator[str]:
    """The whole text, in lines."""
    width = max(len(a.path), len(b.path))
    for side, report in (("A", a), ("B", b)):
        yield f"{side}  {report.path:<{width}}  {plural(len(report.tests), 'test')}, seed {report.seed}"
    yield ""
    yield from _format_environments(a, b)
    yield ""
    unequal = [test for test in tests if test.outcome != "equal"]
    for number, test in enumerate(sorted(unequal, key=lambda test: _OUTCOMES.index(test.outcome))):
        yield f"{test.outcome}  {test.nodeid}  {_format_headline(test)}".rstrip()
        if number < _MAX_DETAILED and test.outcome == "differs":
            yield from _format_values([mismatch for mismatch in test.mismatches if not mismatch.close])
    yield from [""] if unequal else []
    yield from _format_totals(tests, options)


def _format_environments(a: Report, b: Report) -> Iterator[str]:
    names = {**a.environment, **b.environment}
    sides = {name: (a.environment.get(name, ""), b.environment.get(name, "")) for name in names}
    differing = {name: values for name, values in sides.items() if values[0] != values[1]}
    yield format_field_count(len(differing), len(names))
    if not differing:
        return
    width = max(map(len, differing))
    for name, (value, other) in differing.items():
        yield f"  {name:<{width}}  {value or 'missing'} in A, {other or 'missing'} in B"


def format_field_count(differing: int, total: int) -> str:
    """How many fields of the environments differ."""
    fields = plural(total, "field")
    differ = f"{differing} of {fields} differ{'s' * (differing == 1)}"
    return f"environment  {differ if differing else f'all {fields} equal'}"


def _format_headline(test: ComparedTest) -> str:
    """One test in one line: ``loss[5] and 16 more differ, max abs 0.00148``."""
    if not test.mismatches:
        return test.reason
    reason = f"{test.reason}: " if test.reason else ""
    if test.outcome == "close":
        known = [(m.difference.max_abs, m.name) for m in test.mismatches if m.difference]
        far = max([(max_abs, name) for max_abs, name in known if max_abs is not None], default=None)
        where = f", largest max abs {far[0]:.3g} at {far[1]}" if far else ""
        values = f"{len(test.mismatches):,} of {plural(test.value_count, 'value')}"
        return f"{reason}{values} not equal bit for bit{where}"
    first, *others = [mismatch for mismatch in test.mismatches if not mismatch.close]
    names = format_differing_names(first.name, 1 + len(others))
    return f"{reason}{names}{format_max_abs(first.difference)}"


def _format_values(mismatches: Sequence[ValueMismatch]) -> Iterator[str]:
    """The first of each series or list that differs; of many only the names."""
    families: dict[str, list[ValueMismatch]] = {}
    for mismatch in mismatches:
        families.setdefault(re.sub(r"\[\d+\]", "[]", mismatch.name), []).append(mismatch)
    heads = list(families.values())
    for first, *others in heads[:MAX_FULL_TEXTS]:
        yield from _format_value(first)
        if others:
            verb = "differs" if len(others) == 1 else "differ"
            yield f"    {len(others):,} more of {first.name.partition('[')[0]} {verb} too"
    yield from format_other_names([first.name for first, *_ in heads[MAX_FULL_TEXTS:]])


def _format_value(mismatch: ValueMismatch) -> Iterator[str]:
    a, b = mismatch.a, mismatch.b
    if a is None or b is None:
        kind = a.kind if a else b.kind if b else ""
        yield f"  {mismatch.name}   {kind}   recorded in {'B' if a is None else 'A'} only"
        return
    if (found := find_other_kind(a, b)) is not None:
        yield f"  {found[0]}   {found[1]} in A, {found[2]} in B"
        return
    yield f"  {mismatch.name}   {a.kind}"
    if mismatch.difference is not None and mismatch.difference.differing:
        yield from format_difference(mismatch.difference, "in A", "in B")
    elif mismatch.difference is not None:
        yield "    equal numbers with different bits: the sign of a zero, or the bits of a NaN"
    elif a.text is not None and b.text is not None:
        one, other = (_quote(a.kind, each) for each in (a.text, b.text))
        yield "    beyond the stored text" if one == other else f"    {one} in A, {other} in B"
    elif a.statistics is not None and b.statistics is not None:
        yield from _format_statistics(a.statistics, b.statistics)
    else:
        yield "    by an unknown amount: the reports hold digests only"


def _quote(kind: str, text: str) -> str:
    return text if kind in ("int", *BYTES_KINDS) else repr(text)


def _format_statistics(a: Statistics, b: Statistics) -> Iterator[str]:
    yield f"    more than {MAX_VALUES} elements: only statistics are known"
    differing = list(compare_statistics(a, b))
    width = max([10, *(len(name) for name, _, _ in differing)])
    for name, x, y in differing:
        yield f"      {name:<{width}} {_format_statistic(x, y)} in A, {_format_statistic(y, x)} in B"
    if not differing:
        yield "      all statistics are equal"


def _format_statistic(number: float | str | None, other: float | str | None) -> str:
    """*number* with as many digits as distinguish it from *other*."""
    if number is None or isinstance(number, str):
        return number or "none"
    short = f"{number:.9g}"
    return repr(number) if isinstance(other, (int, float)) and short == f"{other:.9g}" else short


def format_outcome_counts(
    tests: Sequence[Any], outcomes: Sequence[str], options: CompareOptions
) -> Iterator[str]:
    """How many tests of two or more machines have each of *outcomes*, in that order."""
    counts = Counter(test.outcome for test in tests)
    words = {"differs": "differs" if counts["differs"] == 1 else "differ"}
    parts = [f"{counts[word]:,} {words.get(word, word)}" for word in outcomes if counts[word]]
    marked = ", or as the marker says" * any(test.by_marker for test in tests)
    yield f"compared {format_tolerance(options.tolerance)}{marked}: {', '.join(parts) or 'no tests'}"
    if not any(counts[word] for word in ("equal", "close", "differs")):
        yield "no test was compared: the machines do not count as equal"


def _format_totals(tests: Sequence[ComparedTest], options: CompareOptions) -> Iterator[str]:
    yield from format_outcome_counts(tests, _TOTALS, options)
    if any(test.outcome == "not compared" for test in tests):
        yield "a test that is not reproducible on its own machine counts as a difference: fix it there first"
    yield from _format_unknown(tests, options)


def _format_unknown(tests: Sequence[ComparedTest], options: CompareOptions) -> Iterator[str]:
    """What to do about large arrays that would count as close if their elements were known."""
    if options.use_statistics:
        return
    close = [test for test in tests if test.by_marker or not options.tolerance.exact]
    pairs = [(mismatch.a, mismatch.b) for test in close for mismatch in test.mismatches]
    unknown = sum(bool(a and b and a.statistics and b.statistics and a.kind == b.kind) for a, b in pairs)
    if unknown:
        values = f"{plural(unknown, 'value')} of more than {MAX_VALUES} elements"
        yield f"{values} count{'s' * (unknown == 1)} as different: reports hold only statistics of them."
        flags = "--statistics" if not options.tolerance.exact else "--rtol, --atol and --statistics"
        yield f"Record at most {MAX_VALUES} elements of each, or compare the statistics with {flags}"
