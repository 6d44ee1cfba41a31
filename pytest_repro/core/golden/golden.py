"""What is stored of a test for later sessions: one entry for each environment, in one file a module."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_repro.core.golden.stored_value import StoredValue

Environment = Mapping[str, str]
"""What an environment is: ``{"numpy": "2.4.6", "threads": "2", …}``."""


Entry = tuple[StoredValue, ...]
"""What is stored of one test in one environment, in the order of recording."""


@dataclass(frozen=True, slots=True)
class Golden:
    """What one golden file holds.

    Attributes:
        environments: By key, each that an entry refers to.
        tests: Node id → key of an environment → entry.
    """

    environments: Mapping[str, Environment] = field(default_factory=dict)
    tests: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)


class EntryUpdate(NamedTuple):
    """An entry to be stored.

    Attributes:
        nodeid: pytest's own.
        environment_key: Of its environment.
        environment: Its environment.
        entry: What was observed.
    """

    nodeid: str
    environment_key: str
    environment: Environment
    entry: Entry


def diff_environments(here: Environment, there: Environment) -> dict[str, tuple[str, str]]:
    """What is not the same in two environments: name → here, there.

    Which libraries were imported hangs on the tests that came before: of one that only one side
    knows nothing is said. A library gives the same names wherever it is, so that nothing else hides.
    """
    return {n: (here[n], there[n]) for n in sorted(here) if n in there and here[n] != there[n]}


def find_nearest(golden: Golden, nodeid: str, environment_key: str, environment: Environment) -> str | None:
    """Key of the environment, among those with an entry of *nodeid*, that is most like *environment*."""

    def sort_key(stored_key: str) -> tuple[bool, int, int, str]:
        there = golden.environments[stored_key]
        return (
            stored_key != environment_key,
            len(diff_environments(environment, there)),
            -len(environment.keys() & there.keys()),
            stored_key,
        )

    return min(golden.tests.get(nodeid, ()), key=sort_key, default=None)


def merge_updates(golden: Golden, updates: Iterable[EntryUpdate]) -> Golden:
    """*golden* with *updates*; what they do not name stays, and of equal values the entry itself.

    The order of updates does not matter, where no two are of one test: of these the last one holds.
    """
    tests = {nodeid: dict(entries) for nodeid, entries in golden.tests.items()}
    environments = dict(golden.environments)
    for each in updates:
        entries = tests.setdefault(each.nodeid, {})
        same = [key for key in entries if not diff_environments(each.environment, environments[key])]
        if any(has_same_values(entries[key], each.entry) for key in same):
            continue
        for key in same:
            del entries[key]
        entries[each.environment_key] = each.entry
        environments[each.environment_key] = each.environment
    return _normalize(environments, tests)


def remove_tests(golden: Golden, nodeids: Collection[str]) -> Golden:
    """*golden* without the entries of *nodeids*."""
    return _normalize(golden.environments, {n: e for n, e in golden.tests.items() if n not in nodeids})


def _normalize(environments: Mapping[str, Environment], tests: Mapping[str, Mapping[str, Entry]]) -> Golden:
    used = sorted({key for entries in tests.values() for key in entries})
    ordered = {n: dict(sorted(tests[n].items())) for n in sorted(tests) if tests[n]}
    return Golden({key: dict(sorted(environments[key].items())) for key in used}, ordered)


def has_same_values(a: Entry, b: Entry) -> bool:
    """Whether two entries hold the same values, in whatever order they were recorded."""
    first, second = ({value.key: (value.kind, value.digest) for value in entry} for entry in (a, b))
    return first == second


def find_stale(golden: Golden, file: str, collected: Collection[str]) -> Iterator[str]:
    """Node ids with entries, of tests in *file* (``"tests/test_a.py"``) that are not among *collected*."""
    for nodeid in golden.tests:
        if nodeid.partition("::")[0] == file and nodeid not in collected:
            yield nodeid


def collect_digests(golden: Golden) -> set[str]:
    """The digests of all values that entries refer to."""
    return {row.digest for entries in golden.tests.values() for entry in entries.values() for row in entry}
