"""What the machines of a fleet agree on, what divides them, and what was not compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_repro.cli.compare import NEUTRAL_VERDICTS, CompareOptions, ValueMismatch, compare_value
from pytest_repro.cli.fleet.partition import (
    Explanation,
    Field,
    Partition,
    explain_partition,
    group_machines,
    join_partitions,
    list_differing_fields,
    make_partition,
)
from pytest_repro.cli.fleet.records import MISSING, Fleet, Machine, RecordedTest, Row
from pytest_repro.cli.fleet.suspects import Suspect, find_suspects
from pytest_repro.cli.fleet.values import ValueClasses

FleetOutcome = Literal["differs", "not compared", "close", "ignored", "equal"]
"""Most important first; as those of two machines. Not compared: fewer than two machines have values."""

COMPARED_OUTCOMES: tuple[FleetOutcome, ...] = ("equal", "close", "differs")

_INPUT_NAMES = re.compile(
    r"(rank\d+\.)?(locals\.)?(\w*_)?(x|y|data|inputs?|batch|batches|images?|pixels|labels?|targets?|features?"
    r"|tokens|texts?|samples?|indices|noise|weights?|params|parameters|init|initial|state|model|net|network)"
    r"(_\w*)?(?=\W|$)"
)


@dataclass(frozen=True, slots=True)
class ValueSplit:
    """Values of one test that divide the machines in one way, in the order in which they were recorded.

    *mismatch* is how far the first of them is apart between the first two classes, if it is known.
    """

    partition: Partition
    names: tuple[str, ...]
    mismatch: ValueMismatch | None


@dataclass(frozen=True, slots=True)
class FleetTest:
    """A test on all machines.

    Attributes:
        partition: The classes of all values together; None if nothing divides the machines.
        draws: The lines that drew from generators that the test did not seed, with their machines.
    """

    nodeid: str
    outcome: FleetOutcome
    machine_count: int
    excluded: dict[str, tuple[int, ...]]  # the machines that are not compared, by the reason
    reason: str = ""  # why nothing is compared, or seeds that explain the outcome
    value_count: int = 0  # values that are compared
    splits: tuple[ValueSplit, ...] = ()  # what divides the machines; the first one recorded comes first
    partition: Partition | None = None
    inputs: tuple[str, ...] = ()  # the values that were recorded before any result, by order and name
    draws: tuple[tuple[str, tuple[int, ...]], ...] = ()
    intransitive: tuple[str, ...] = ()  # the values whose classes depend on the order of the reports
    by_marker: bool = False  # whether a tolerance or a level of its marker applied

    @property
    def agrees(self) -> bool:
        """Whether all machines have the same, and none is left out."""
        return self.outcome == "ignored" or (self.outcome in ("equal", "close") and not self.excluded)


@dataclass(frozen=True, slots=True)
class FleetComparison:
    """All tests, and what the partitions of their values have in common."""

    machines: Sequence[Machine]
    tests: Sequence[FleetTest]
    fields: Sequence[Field]  # that differ
    explanations: dict[Partition, Explanation]  # those on the most tests come first
    suspects: tuple[Suspect, ...]
    options: CompareOptions

    @property
    def agrees(self) -> bool:
        """Whether something was compared on all machines and nothing differs."""
        compared = any(test.outcome in ("equal", "close") for test in self.tests)
        return compared and all(test.agrees for test in self.tests)


def compare_fleet(fleet: Fleet, options: CompareOptions) -> FleetComparison:
    """Compares what :func:`~pytest_repro.cli.fleet.records.read_fleet` read with the same *options*."""
    fields = list_differing_fields([machine.fields for machine in fleet.machines])
    tests = [_compare_test(test, len(fleet.machines), options) for test in fleet.tests]
    counts = Counter(split.partition for test in tests for split in test.splits)
    explanations = {each: explain_partition(each, fields) for each, _ in counts.most_common()}
    partitions = [test.partition for test in tests if test.partition is not None]
    compared = sum(test.outcome in COMPARED_OUTCOMES for test in tests)
    suspects = find_suspects(partitions, fields, len(fleet.machines), compared)
    return FleetComparison(fleet.machines, tests, fields, explanations, suspects, options)


def _compare_test(test: RecordedTest, count: int, options: CompareOptions) -> FleetTest:
    numbers = test.select_rows(count)
    rows = [test.rows[number] if number != MISSING else None for number in numbers]
    used = [row for row in rows if row is not None and row.runs_agree]
    words = [None if row and row.runs_agree else row.verdict if row else "missing" for row in rows]
    excluded = {word: tuple(each) for word, each in group_machines(words).items() if word is not None}
    all_rules = dict.fromkeys(row.rules for row in used)
    if len(used) < 2 or len(all_rules) > 1:
        neutral = not used and len(excluded) == 1 and set(excluded) <= {*NEUTRAL_VERDICTS}
        markers = f"the markers differ: {'; '.join(map(str, all_rules))}" if len(all_rules) > 1 else ""
        return FleetTest(test.nodeid, "ignored" if neutral else "not compared", len(used), excluded, markers)
    (rules,) = all_rules
    splits = tuple(_find_splits(test, numbers, options.apply_rules(rules)))
    bits = any(each.identity_count > 1 for each in test.values.values())
    by_marker = rules.level != "bitwise" or not (options.ignores_markers or rules.tolerance.exact)
    return FleetTest(
        test.nodeid,
        "differs" if splits else "close" if bits else "equal",
        len(used),
        excluded,
        _describe_seeds(used),
        len(test.values),
        splits,
        join_partitions([split.partition for split in splits]) if splits else None,
        _find_inputs([*test.values]),
        tuple(_find_draws(rows)),
        tuple(name for name, each in test.values.items() if each.between or each.is_wide),
        by_marker,
    )


def _find_splits(test: RecordedTest, numbers: Sequence[int], options: CompareOptions) -> Iterator[ValueSplit]:
    """Values with equal partitions, together; rows are compared first: they are few where machines agree."""
    used = {number for number in numbers if number != MISSING and test.rows[number].runs_agree}
    names: dict[Partition, list[ValueClasses]] = {}
    for place, each in enumerate(test.values.values()):
        rows = ((number, test.rows[number].classes) for number in used)
        classes = {number: row[place] if place < len(row) else MISSING for number, row in rows}
        if len(set(classes.values())) > 1:
            partition = make_partition(classes.get(number) for number in numbers)
            names.setdefault(partition, []).append(each)
    for partition, values in names.items():
        yield ValueSplit(partition, tuple(each.name for each in values), _measure(values[0], options))


def _measure(value: ValueClasses, options: CompareOptions) -> ValueMismatch | None:
    """How far the values of the first two classes are apart; None if it is on some machines only."""
    if len(value.samples) < 2:
        return None
    return compare_value(value.name, value.samples[0], value.samples[1], options)


def _describe_seeds(rows: Sequence[Row]) -> str:
    counts = Counter(row.seed for row in rows)
    return f"seed {', '.join(f'{seed} on {n}' for seed, n in counts.items())}" if len(counts) > 1 else ""


def _find_inputs(names: Sequence[str]) -> tuple[str, ...]:
    """The names at the beginning that stand for data or initial weights, if others follow."""
    number = next((n for n, name in enumerate(names) if not _INPUT_NAMES.match(name)), 0)
    return tuple(names[:number])


def _find_draws(rows: Sequence[Row | None]) -> Iterator[tuple[str, tuple[int, ...]]]:
    machines: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        for draw in row.draws if row is not None and row.runs_agree else ():
            machines.setdefault(draw, []).append(number)
    return ((draw, tuple(numbers)) for draw, numbers in machines.items())
