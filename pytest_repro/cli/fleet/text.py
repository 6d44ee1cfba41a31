"""The text of ``pytest-repro compare`` for more than two machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from string import ascii_uppercase
from typing import get_args

from pytest_repro.cli.compare_text import format_field_count, format_outcome_counts
from pytest_repro.cli.fleet.comparison import (
    COMPARED_OUTCOMES,
    FleetComparison,
    FleetOutcome,
    FleetTest,
    ValueSplit,
)
from pytest_repro.cli.fleet.partition import (
    Explanation,
    FieldSplit,
    Partition,
    format_split,
    format_value,
    get_family,
    group_fields,
    group_machines,
)
from pytest_repro.cli.fleet.records import Machine
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import format_labelled, plural
from pytest_repro.reports.failure.values import format_max_abs

_MAX_MACHINES = 6
_MAX_CLASSES = 8
_MAX_TESTS = 20
_MAX_SPLITS = 20
_MAX_LINES = 12

_WORDS = {"diverged": "not reproducible on their own machine", "missing": "not in the report"}


def name_class(number: int) -> str:
    """``A`` for the largest class, then ``B``, …, ``Z``, ``AA``."""
    high, low = divmod(number, len(ascii_uppercase))
    return (name_class(high - 1) if high else "") + ascii_uppercase[low]


def format_sizes(partition: Partition) -> str:
    """``38 | 2``; of many classes the first: ``5 | 1 | 1 | … (12 classes)``."""
    sizes = partition.sizes
    shown = " | ".join(f"{size:,}" for size in sizes[:_MAX_CLASSES])
    return shown if len(sizes) <= _MAX_CLASSES else f"{shown} | … ({len(sizes):,} classes)"


class FleetText:
    """The lines of one comparison."""

    def __init__(self, comparison: FleetComparison) -> None:
        self._comparison = comparison
        self._machines = comparison.machines

    def format(self) -> Iterator[str]:
        """The whole text, in lines: what differs before the tests, then what the tests computed."""
        tests = self._comparison.tests
        yield f"{plural(len(self._machines), 'machine')}, {plural(len(tests), 'test')}"
        yield from self._format_copies()
        yield ""
        yield from self._format_fields()
        yield from self.format_inputs()
        yield from self.format_draws()
        yield ""
        for paragraph in (self.format_suspects(), *self._iter_splits(), self.format_excluded()):
            lines = list(paragraph)
            yield from [*lines, ""] if lines else []
        yield from self.format_totals()

    def _name(self, machines: Iterable[int]) -> str:
        return format_list([self._machines[number].name for number in machines], _MAX_MACHINES)

    def _format_copies(self) -> Iterator[str]:
        for numbers in group_machines(machine.content for machine in self._machines).values():
            if len(numbers) > 1 and self._machines[numbers[0]].test_count:
                yield f"copies of one report, counted as {len(numbers)} machines: {self._name(numbers)}"

    def _format_fields(self) -> Iterator[str]:
        fields = group_fields(self._comparison.fields)
        total = len({name for machine in self._machines for name in machine.fields})
        yield format_field_count(len(fields), total)
        width = max((len(field.name) for field in fields), default=0)
        for field in fields:
            largest = sorted(group_machines(field.values).items(), key=lambda group: -len(group[1]))
            parts = [
                f"{format_value(field.name, value)} on {len(m):,} ({self._name(m)})" for value, m in largest
            ]
            yield f"  {field.name:<{width}}  {parts[0]}"
            yield from (f"  {'':<{width}}  {part}" for part in parts[1:_MAX_CLASSES])
            if len(parts) > _MAX_CLASSES:
                yield f"  {'':<{width}}  and {plural(len(parts) - _MAX_CLASSES, 'other value')}"

    def format_inputs(self) -> Iterator[str]:
        """Data and initial weights that differ."""
        lines = []
        for test in self._comparison.tests:
            for split in test.splits:
                if names := [name for name in split.names if name in test.inputs]:
                    verb = "splits" if len(names) == 1 else "split"
                    sizes = format_sizes(split.partition)
                    lines.append(
                        f"inputs  {test.nodeid}  {format_list(names, 3)} {verb} {sizes}, before any result"
                    )
        yield from _shorten(lines, "inputs")

    def format_draws(self) -> Iterator[str]:
        """Lines that drew random numbers nobody seeded, where machines differ or only some of them drew."""
        lines = []
        for test in self._comparison.tests:
            for draw, machines in test.draws:
                if test.splits or len(machines) < test.machine_count:
                    on = f"on {len(machines):,} of {test.machine_count:,}"
                    lines.append(f"draws  {test.nodeid}  {draw}, {on}: only the plugin seeded it")
        yield from _shorten(lines, "draws")

    def format_suspects(self) -> Iterator[str]:
        """Machines that may corrupt data silently."""
        for suspect in self._comparison.suspects:
            name = self._machines[suspect.machine].name
            yield f"suspect  {name} may corrupt data silently: this is not established"
            alone = (
                f"alone with its values on {suspect.alone_count:,} of {plural(suspect.test_count, 'test')}"
            )
            others = f"every other machine on {suspect.other_count:,} at most"
            yield f"  {alone}, {others}"
            twins = f"{plural(suspect.twin_count, 'machine')} with its environment"
            yield f"  {twins}, some of which computed what most did"
            yield f"  run the tests again on {name}; if it is alone again, test its memory and its cores"

    def _iter_splits(self) -> Iterator[Iterator[str]]:
        explanations = self._comparison.explanations
        for number, (partition, explanation) in enumerate(explanations.items()):
            if number < _MAX_SPLITS:
                yield self._format_partition(partition, explanation)
        if len(explanations) > _MAX_SPLITS:
            yield iter(
                [f"and {len(explanations) - _MAX_SPLITS:,} other ways in which machines split; see --json"]
            )

    def _format_partition(self, partition: Partition, explanation: Explanation) -> Iterator[str]:
        found = [
            (test, split) for test in self._comparison.tests for split in test.splits
            if split.partition == partition
        ]  # fmt: skip
        yield f"splits {format_sizes(partition)}  in {plural(len(found), 'test')}"
        shown = partition.classes[: _MAX_CLASSES if partition.sizes[0] > 1 else 0]
        for number, machines in enumerate(shown):
            yield f"  {name_class(number):<10} {plural(len(machines), 'machine')}: {self._name(machines)}"
        if not shown:
            yield f"  {'A, B, …':<10} every machine is alone with its value"
        elif len(partition.classes) > _MAX_CLASSES:
            yield f"  {'…':<10} smaller classes: {len(partition.classes) - _MAX_CLASSES:,} more"
        yield from format_labelled("same split", list_explanation_lines(explanation, self._machines))
        yield from format_labelled("values", (format_value_split(*each) for each in found[:_MAX_TESTS]))
        if len(found) > _MAX_TESTS:
            yield f"  {'':<10} and in {plural(len(found) - _MAX_TESTS, 'other test')}"

    def format_excluded(self) -> Iterator[str]:
        """Tests that are not compared on some machines, together if the machines are the same."""
        groups: dict[tuple[str, tuple[int, ...]], list[FleetTest]] = {}
        for test in self._comparison.tests:
            for word, machines in test.excluded.items() if test.outcome != "ignored" else ():
                groups.setdefault((word, machines), []).append(test)
        for (word, machines), tests in list(groups.items())[:_MAX_SPLITS]:
            names = format_list([test.nodeid for test in tests], 3)
            on = f"on {len(machines):,} of {len(self._machines):,} ({self._name(machines)})"
            yield f"not compared  {_WORDS.get(word, word)} {on}: {names}"
        if len(groups) > _MAX_SPLITS:
            yield f"not compared  for {len(groups) - _MAX_SPLITS:,} other reasons; see --json"
        for test in self._comparison.tests:
            if test.outcome == "not compared" and test.reason:
                yield f"not compared  {test.nodeid}: {test.reason}"

    def format_totals(self) -> Iterator[str]:
        """Counts, and what to know about them."""
        tests, options = self._comparison.tests, self._comparison.options
        whole = sum(test.outcome in ("equal", "close") and not test.excluded for test in tests)
        compared = sum(test.outcome in COMPARED_OUTCOMES for test in tests)
        if compared:
            verb = "agrees" if whole == 1 else "agree"
            yield f"{whole:,} of {compared:,} compared tests {verb} everywhere"
        yield from format_outcome_counts(tests, get_args(FleetOutcome)[::-1], options)
        if any("diverged" in test.excluded for test in tests):
            yield "a test that is not reproducible on its own machine counts as a difference: fix it first"
        if names := [test.nodeid for test in tests if test.intransitive]:
            yield "closeness is not transitive: a value belongs to the first report that it is close to."
            yield f"The order decides, or a class is wider than the tolerance: {format_list(names, 3)}"


def format_value_split(test: FleetTest, split: ValueSplit) -> str:
    """``test_a.py::test_b  loss[5] and 16 more, max abs 0.0015 between A and B``."""
    more = f" and {len(split.names) - 1:,} more" if len(split.names) > 1 else ""
    far = format_max_abs(split.mismatch.difference if split.mismatch else None)
    first = test.splits[0].names[0]
    inputs = [] if not test.inputs or first in test.inputs else [f"its inputs agree ({test.inputs[0]}, …)"]
    notes = [*inputs, *([test.reason] if test.reason else [])]
    tail = f"; {', '.join(notes)}" if notes else ""
    return f"{test.nodeid}  {split.names[0]}{more}{far}{tail}"


def list_explanation_lines(explanation: Explanation, machines: Sequence[Machine]) -> list[str]:
    """What environments say about a partition: fields that divide the machines alike, or that none does."""
    lines = [line for split in explanation.splits for line in format_split(split)]
    if len(lines) > 1:
        return [*lines, f"these {len(lines)} split alike: the reports do not show which of them matters"]
    if lines or explanation.pairs:
        pairs = (map(_name_fields, pair) for pair in explanation.pairs[:_MAX_LINES])
        return lines or [f"{a} and {b} together, neither of them alone" for a, b in pairs]
    names = list(dict.fromkeys(map(get_family, explanation.differing)))
    twins = [machines[number].name for number in explanation.twins or ()]
    families = dict.fromkeys(" and ".join(map(get_family, names)) for names in explanation.determining)
    return [
        "no field of the environment, and no two: a cause is not established",
        *(f"machines with equal {each} agree" for each in list(families)[:_MAX_LINES]),
        *([f"{' and '.join(twins)} have one environment and other values"] if twins else []),
        f"differing fields: {format_list(names, _MAX_LINES) if names else 'none'}",
    ]


def _name_fields(split: FieldSplit) -> str:
    return " = ".join(dict.fromkeys(map(get_family, split.names)))


def _shorten(lines: Sequence[str], word: str) -> Iterator[str]:
    yield from lines[:_MAX_LINES]
    if len(lines) > _MAX_LINES:
        yield f"{word}  and {len(lines) - _MAX_LINES:,} more; see --json"
