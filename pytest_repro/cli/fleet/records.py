"""Many reports, read one at a time: of each machine only what tells it from the others is kept."""

from __future__ import annotations

import marshal
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import PurePath
from sys import intern
from typing import NamedTuple

from pytest_repro.cli.compare import CompareOptions
from pytest_repro.cli.fleet.values import ValueClasses
from pytest_repro.cli.reported import Rules, iter_test_rows, read_test
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.reports.json.report import Report, read_report

MISSING = -1
"""Instead of the number of a row or of a class: the report lacks the test, or the test the value."""

_COMPARED_KEYS = ("verdict", "plan", "observations", "unseeded", "baseline")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, as its report describes it."""

    name: str  # file name of its report, as short as it is unique
    path: str
    fields: Mapping[str, str]  # what may differ before the first test: environment, seed and commit
    test_count: int
    content: bytes  # digest of the tests with their times; equal only for copies of one file


class Row(NamedTuple):
    """What a machine says of a test; all machines that say the same share one."""

    verdict: str
    runs_agree: bool
    seed: int
    rules: Rules
    draws: tuple[str, ...]  # where it drew from generators that it did not seed
    classes: Sequence[int]  # class of each value, in the order of the test's values; may be shorter


@dataclass(slots=True)
class RecordedTest:
    """A test on all machines.

    Attributes:
        row_numbers: The row of each machine, by number; may be shorter than the machines are many.
        values: What distinguishes machines in each value, by name, in the order of recording.
    """

    nodeid: str
    rows: list[Row] = field(default_factory=list)  # the different rows
    row_numbers: array[int] = field(default_factory=lambda: array("i"))
    values: dict[str, ValueClasses] = field(default_factory=dict)
    _known: dict[bytes, int] = field(default_factory=dict)

    def add(self, machine: int, node: JsonNode, seed: int, options: CompareOptions) -> None:
        """Takes the row *node* of a machine; a row as of another machine is not read again."""
        content = marshal.dumps([node.value.get(key) for key in _COMPARED_KEYS] + [seed], 2)
        key = blake2b(content, digest_size=16).digest()
        if key not in self._known:
            self._known[key] = len(self.rows)
            self.rows.append(self._read_row(node, seed, options))
        self.row_numbers.extend([MISSING] * (machine - len(self.row_numbers)))
        self.row_numbers.append(self._known[key])

    def _read_row(self, node: JsonNode, seed: int, options: CompareOptions) -> Row:
        test = read_test(node, seed)
        draws = tuple(map(_describe_draw, node.get("unseeded") or ()))
        shown = (test.verdict, test.runs_agree, test.seed, test.rules, draws)
        if not test.runs_agree:
            return Row(*shown, ())
        near = options.apply_rules(test.rules)
        for name in test.values:
            self.values.setdefault(name, ValueClasses(name))
        classes = (
            each.classify(test.values[name], near) if name in test.values else MISSING
            for name, each in self.values.items()
        )
        return Row(*shown, array("i", classes))

    def select_rows(self, count: int) -> list[int]:
        """The row of each of *count* machines."""
        return [*self.row_numbers, *[MISSING] * (count - len(self.row_numbers))]


def _describe_draw(node: JsonNode) -> str:
    location = node.get("location")
    return node["generator"].as_text() + (f" at {location.as_text()}" if location else "")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines and tests, both in the order in which they were read."""

    machines: Sequence[Machine]
    tests: Sequence[RecordedTest]


def read_fleet(paths: Sequence[str], options: CompareOptions) -> Fleet:
    """Reads reports, one in memory at a time.

    Raises:
        BadReport: A report cannot be read, or a row is malformed.
    """
    machines: list[Machine] = []
    tests: dict[tuple[str, int], RecordedTest] = {}
    for number, (path, name) in enumerate(zip(paths, name_machines(paths))):
        report, content = read_report(path), blake2b(digest_size=16)
        for key, row in iter_test_rows(report):
            content.update(marshal.dumps(row.value, 2))
            tests.setdefault(key, RecordedTest(key[0])).add(number, row, report.seed, options)
        machines.append(_describe_machine(name, report, content.digest()))
    return Fleet(machines, list(tests.values()))


def _describe_machine(name: str, report: Report, content: bytes) -> Machine:
    fields = {"seed": str(report.seed), "commit": report.commit, **report.environment}
    shared = {intern(key): intern(value) for key, value in fields.items() if value}
    return Machine(name, report.path, shared, len(report.tests), content)


def name_machines(paths: Iterable[str]) -> list[str]:
    """A name for each path: the file name without ``.json``, or with the folders that make it unique.

    A path that is given twice gets a number: ``a#2``.
    """
    parts = [PurePath(path.removesuffix(".json")).parts or (path,) for path in paths]
    names = ["/".join(each[-1:]) for each in parts]
    for depth in range(2, 1 + max(map(len, parts), default=0)):
        counts = Counter(names)
        names = ["/".join(p[-depth:]) if counts[n] > 1 else n for p, n in zip(parts, names)]
    seen: Counter[str] = Counter()
    for number, name in enumerate(names):
        seen[name] += 1
        names[number] = f"{name}#{seen[name]}" if seen[name] > 1 else name
    return names
