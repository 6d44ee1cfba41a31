"""The page of a fleet, which opens from a file: machines by what divides them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pytest_repro.cli.fleet.comparison import COMPARED_OUTCOMES, FleetComparison
from pytest_repro.cli.fleet.partition import OUTSIDE, Partition, format_value, group_fields
from pytest_repro.cli.fleet.records import Machine
from pytest_repro.cli.fleet.text import (
    FleetText,
    format_sizes,
    format_value_split,
    list_explanation_lines,
    name_class,
)
from pytest_repro.core.text import escape_unprintable
from pytest_repro.reports.failure import plural
from pytest_repro.reports.html.templates import render_template

MAX_COLUMNS, MAX_ROWS, MAX_CLASSES, MAX_NAMES, MAX_TESTS = 40, 200, 60, 500, 200
"""Most partitions, rows, classes of a partition, names in a row, tests of a partition on the page."""

ALONE = -2
"""The code of a machine in a partition into single machines, where letters would tell nothing."""

_LIGHT_TINTS = {
    "c0": "#eee9de", "c1": "#cfe3ff", "c2": "#ffd9c2", "c3": "#cdebd3",
    "c4": "#ead6f5", "c5": "#ffe9a8", "c6": "#c9ecec", "c7": "#f6cfdb",
}  # fmt: skip
_DARK_TINTS = {
    "c0": "#2b2f37", "c1": "#1d3f66", "c2": "#6b3413", "c3": "#1e4f2f",
    "c4": "#4d2f63", "c5": "#5a4710", "c6": "#174f50", "c7": "#5f2a3c",
}  # fmt: skip


class MachineRow(NamedTuple):
    """Machines that are in the same class everywhere."""

    names: tuple[str, ...]  # of the first ones
    machine_count: int
    codes: tuple[int, ...]  # class in each column


class Column(NamedTuple):
    """One way in which values divide the machines."""

    sizes: str
    classes: tuple[MachineRow, ...]
    explanation: tuple[str, ...]
    tests: tuple[str, ...]
    test_count: int


def render_page(comparison: FleetComparison) -> str:
    """The whole page; parts beyond the limits above are left out, with their number."""
    text = FleetText(comparison)
    rows = list_machine_rows(comparison)
    compared = [test for test in comparison.tests if test.outcome in COMPARED_OUTCOMES]
    whole = sum(test.agrees for test in compared)
    verb = "agrees" if whole == 1 else "agree"
    return render_template(
        "fleet.html",
        ("page.css", "fleet.css"),
        tints=(_LIGHT_TINTS, _DARK_TINTS),
        noun="machines",
        sentence=f"{whole:,} of {len(compared):,} compared tests {verb} everywhere",
        tone="good" if comparison.agrees else "bad",
        title=f"{plural(len(comparison.machines), 'machine')}, {plural(len(comparison.tests), 'test')}",
        columns=list_columns(comparison),
        column_count=len(comparison.explanations),
        rows=rows[:MAX_ROWS],
        row_count=len(rows),
        fields=list(_list_fields(comparison)),
        before=_escape([*text.format_inputs(), *text.format_draws()]),
        suspects=_escape(text.format_suspects()),
        excluded=_escape(text.format_excluded()),
        totals=_escape(text.format_totals()),
        letter=lambda code: {OUTSIDE: "–", ALONE: "≠"}.get(code) or name_class(code),
        colour=lambda code: f"c{min(code, len(_DARK_TINTS) - 1)}" if code >= 0 else "none",
    )


def _escape(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(escape_unprintable, lines))


def list_columns(comparison: FleetComparison) -> list[Column]:
    """The partitions, those on the most tests first."""
    found: dict[Partition, list[str]] = {}
    for test in comparison.tests:
        for split in test.splits:
            found.setdefault(split.partition, []).append(format_value_split(test, split))
    partitions = list(comparison.explanations.items())[:MAX_COLUMNS]
    return [
        Column(
            format_sizes(partition),
            tuple(_list_classes(partition, comparison.machines)),
            _escape(list_explanation_lines(explanation, comparison.machines)),
            _escape(found[partition][:MAX_TESTS]),
            len(found[partition]),
        )
        for partition, explanation in partitions
    ]


def _list_classes(partition: Partition, machines: Sequence[Machine]) -> Iterator[MachineRow]:
    """The classes, with themselves as their code."""
    for number, members in enumerate(partition.classes[: MAX_CLASSES if partition.sizes[0] > 1 else 0]):
        names = _escape(machines[member].name for member in members[:MAX_NAMES])
        yield MachineRow(names, len(members), (number,))


def list_machine_rows(comparison: FleetComparison) -> list[MachineRow]:
    """The machines, those that are in the same class everywhere as one row, the largest rows first."""
    partitions = list(comparison.explanations)[:MAX_COLUMNS]
    columns = [_hide_if_all_alone(partition) for partition in partitions]
    groups: dict[tuple[int, ...], list[str]] = {}
    for number, machine in enumerate(comparison.machines):
        groups.setdefault(tuple(codes[number] for codes in columns), []).append(machine.name)
    rows = [MachineRow(_escape(names[:MAX_NAMES]), len(names), codes) for codes, names in groups.items()]
    return sorted(rows, key=lambda row: (-row.machine_count, row.codes))


def _hide_if_all_alone(partition: Partition) -> Sequence[int]:
    """The codes; :data:`ALONE` instead of those of a partition into single machines."""
    codes = partition.codes
    return codes if partition.sizes[0] > 1 else [code if code == OUTSIDE else ALONE for code in codes]


def _list_fields(comparison: FleetComparison) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The differing fields with their values and how many machines have them, the most frequent first."""
    for field in group_fields(comparison.fields):
        counts = Counter(field.values).most_common()
        values = [(escape_unprintable(format_value(field.name, value)), n) for value, n in counts]
        yield escape_unprintable(field.name), values[:MAX_CLASSES]
