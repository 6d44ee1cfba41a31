"""What is said of two machines: environment, what differs, counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pytest_repro.cli.compare import Asked, Compared, Word, unlike
from pytest_repro.cli.compare_values import Apart, farthest, hidden
from pytest_repro.core.compare.statistics import Statistics, unequal
from pytest_repro.core.golden.value_summary import FEW
from pytest_repro.reports.failure.values import NAMED, SHOWN, distance
from pytest_repro.reports.json.checked import Report

_FULL = 20
"""Tests told in full; of the others one line."""

_ORDER: tuple[Word, ...] = (
    "differs", "only in A", "only in B", "not compared", "close", "passed over", "equal",
)  # fmt: skip
"""Those to be mended first."""


def told(a: Report, b: Report, tests: Sequence[Compared], asked: Asked) -> Iterator[str]:
    """Everything that is said of two reports, in lines."""
    yield from _heads(a, b)
    yield ""
    yield from environments(a, b)
    yield ""
    bad = [test for test in tests if test.word != "equal"]
    for number, test in enumerate(sorted(bad, key=lambda each: _ORDER.index(each.word))):
        yield from _test(test, full=number < _FULL)
    yield from [""] if bad else []
    yield from _end(tests, asked)


def _heads(a: Report, b: Report) -> Iterator[str]:
    width = max(len(a.path), len(b.path))
    for side, report in (("A", a), ("B", b)):
        yield f"{side}  {report.path:<{width}}  {_count(len(report.tests), 'test')}, seed {report.seed}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def environments(a: Report, b: Report) -> Iterator[str]:
    """The fields that differ, with both sides."""
    found, known = unlike(a.environment, b.environment), {**a.environment, **b.environment}
    if not found:
        yield f"environment  all {_count(len(known), 'field')} equal"
        return
    yield f"environment  {len(found)} of {_count(len(known), 'field')} differ{'s' * (len(found) == 1)}"
    width = max(map(len, found))
    for name, (here, there) in found.items():
        yield f"  {name:<{width}}  {here or 'not there'} in A, {there or 'not there'} in B"


def _test(test: Compared, full: bool) -> Iterator[str]:
    yield f"{test.word}  {test.nodeid}  {headline(test)}".rstrip()
    if full and test.word == "differs":
        yield from values([each for each in test.apart if not each.close])


def headline(test: Compared) -> str:
    """One test in a few words: ``loss[5] and 16 more differ, max abs 0.00148``."""
    why = f"{test.why}: " if test.why and test.apart else test.why
    if not test.apart:
        return why
    far, name = farthest(test.apart)
    if test.word == "close":
        where = f", farthest max abs {far:.3g} at {name}" if name else ""
        return f"{why}{len(test.apart):,} of {_count(test.values, 'value')} not equal to the bit{where}"
    found = [each for each in test.apart if not each.close]
    more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    first = found[0].difference
    apart = f", max abs {first.max_abs:.3g}" if first is not None and first.max_abs is not None else ""
    return f"{why}{found[0].name}{more} differ{'s' * (len(found) == 1)}{apart}"


def values(found: Sequence[Apart]) -> Iterator[str]:
    """What differs, one value at a time: of a series or a list the first, of the many only the names."""
    families: dict[str, list[Apart]] = {}
    for each in found:
        families.setdefault(re.sub(r"\[\d+\]", "[]", each.name), []).append(each)
    for family in list(families.values())[:SHOWN]:
        yield from _value(family[0])
        if len(family) > 1:
            verb = "differs" if len(family) == 2 else "differ"
            yield f"    {len(family) - 1:,} more of {family[0].name.partition('[')[0]} {verb} too"
    rest = [family[0].name for family in list(families.values())[SHOWN:]]
    if rest:
        more = f", and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
        yield f"  likewise   {', '.join(rest[:NAMED])}{more}"


def _value(found: Apart) -> Iterator[str]:
    a, b = found.a, found.b
    if a is None or b is None:
        there = a or b
        yield f"  {found.name}   {there.kind if there else ''}   recorded in {'B' if a is None else 'A'} only"
        return
    if a.kind != b.kind:
        yield f"  {found.name}   {a.kind} in A, {b.kind} in B"
        return
    yield f"  {found.name}   {a.kind}"
    if hidden(found):
        yield "    in bits that the numbers do not show: the sign of a zero, or the bits of a NaN"
    elif found.difference is not None:
        yield f"    {distance(found.difference)}"
        yield from _first(found)
    elif a.text is not None and b.text is not None:
        beyond = "further on" if a.text == b.text else f"{a.text!r} in A, {b.text!r} in B"
        yield f"    {beyond}"
    elif a.statistics is not None and b.statistics is not None:
        yield from _statistics(a.statistics, b.statistics)
    else:
        yield "    how far is not known: the reports hold the digests alone"


def _first(found: Apart) -> Iterator[str]:
    far = found.difference
    if far is not None and far.first_values is not None:
        index = f"first at {list(far.first_index)}: " if far.first_index else ""
        yield f"    {index}{far.first_values[0]} in A, {far.first_values[1]} in B"


def _statistics(a: Statistics, b: Statistics) -> Iterator[str]:
    yield f"    more than {FEW} elements: only statistics are known"
    found = list(unequal(a, b))
    width = max([10, *(len(each.name) for each in found)])
    for name, x, y in found:
        yield f"      {name:<{width}} {_number(x, y)} in A, {_number(y, x)} in B"
    if not found:
        yield "      which are equal"


def _number(number: float | str | None, beside: float | str | None) -> str:
    if number is None or isinstance(number, str):
        return number or "none"
    short = f"{number:.9g}"
    return repr(number) if isinstance(beside, (int, float)) and short == f"{beside:.9g}" else short


def _end(tests: Sequence[Compared], asked: Asked) -> Iterator[str]:
    close = asked.tolerance
    how = "bit for bit" if close.exact else f"within rtol {close.rtol:g} and atol {close.atol:g}"
    counts = Counter(test.word for test in tests)
    words = {"differs": "differs" if counts["differs"] == 1 else "differ"}
    said = ", ".join(f"{counts[word]:,} {words.get(word, word)}" for word in reversed(_ORDER) if counts[word])
    yield f"compared {how}: {said or 'no tests'}"
    if not any(test.word in ("equal", "close", "differs") for test in tests):
        yield "no test was compared: the machines do not count as equal"
    if counts["not compared"]:
        yield "a test that is not reproducible on its own machine counts as a difference: mend it there first"
    if not (close.exact or asked.statistics) and (unknown := sum(_large(test.apart) for test in tests)):
        what = (
            f"{_count(unknown, 'value')} of more than {FEW} elements count{'s' * (unknown == 1)} as different"
        )
        yield f"{what}, however close: of these, reports hold statistics only."
        yield f"Record {FEW} elements of each or fewer, or have the statistics compared with --statistics"


def _large(found: Iterable[Apart]) -> int:
    """Of how many values only statistics are known."""
    sides = ((each.a, each.b) for each in found)
    return sum(bool(a and b and a.statistics and b.statistics and a.kind == b.kind) for a, b in sides)
