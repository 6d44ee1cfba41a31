"""What is stored of tests for later sessions: one file for each module, one entry for each environment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_repro.core.golden.stored_value import StoredValue

Environment = Mapping[str, str]
"""Whatever could change a result: ``{"numpy": "2.4.6", "threads": "2", …}``."""


Entry = tuple[StoredValue, ...]
"""The values of one test in one environment, in the order of recording."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The content of one golden file.

    Attributes:
        environments: Key → environment, of each that has an entry.
        tests: Node id → key of the environment → entry.
    """

    environments: Mapping[str, Environment] = field(default_factory=dict)
    tests: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)


class EntryUpdate(NamedTuple):
    """An entry to be stored."""

    nodeid: str
    environment_key: str
    environment: Environment
    entry: Entry


def diff_environments(here: Environment, there: Environment) -> dict[str, tuple[str, str]]:
    """What differs between two environments: name → value here, value there.

    Names that only one side has are ignored: which libraries are imported depends on the tests that ran
    before. A library has the same names in every environment, so this hides nothing else.
    """
    return {n: (here[n], there[n]) for n in sorted(here) if n in there and here[n] != there[n]}


def find_nearest(golden: Golden, nodeid: str, environment_key: str, environment: Environment) -> str | None:
    """Key of the environment most like *environment* that has an entry of *nodeid*; None if none has."""

    def sort_key(stored_key: str) -> tuple[bool, int, int, str]:
        stored = golden.environments[stored_key]
        return (
            stored_key != environment_key,
            len(diff_environments(environment, stored)),
            -len(environment.keys() & stored.keys()),
            stored_key,
        )

    return min(golden.tests.get(nodeid, ()), key=sort_key, default=None)


def merge_updates(golden: Golden, updates: Iterable[EntryUpdate]) -> Golden:
    """*golden* with *updates*; an entry with equal values stays as it is, as do tests without an update.

    The order of updates matters only for those of the same test: the last one counts.
    """
    tests = {nodeid: dict(entries) for nodeid, entries in golden.tests.items()}
    environments = dict(golden.environments)
    for update in updates:
        entries = tests.setdefault(update.nodeid, {})
        same = [key for key in entries if not diff_environments(update.environment, environments[key])]
        if any(has_same_values(entries[key], update.entry) for key in same):
            continue
        for key in same:
            del entries[key]
        entries[update.environment_key] = update.entry
        environments[update.environment_key] = update.environment
    return _normalize(environments, tests)


def remove_tests(golden: Golden, nodeids: Collection[str]) -> Golden:
    """*golden* without the entries of *nodeids*."""
    return _normalize(golden.environments, {n: e for n, e in golden.tests.items() if n not in nodeids})


def _normalize(environments: Mapping[str, Environment], tests: Mapping[str, Mapping[str, Entry]]) -> Golden:
    used = sorted({key for entries in tests.values() for key in entries})
    ordered = {n: dict(sorted(tests[n].items())) for n in sorted(tests) if tests[n]}
    return Golden({key: dict(sorted(environments[key].items())) for key in used}, ordered)


def has_same_values(a: Entry, b: Entry) -> bool:
    """Whether two entries have the same values, in any order."""
    first, second = ({value.key: (value.kind, value.digest) for value in entry} for entry in (a, b))
    return first == second


def find_stale(golden: Golden, file: str, collected: Collection[str]) -> Iterator[str]:
    """Node ids in *golden* of tests in *file* (``"tests/test_a.py"``) that are not among *collected*."""
    for nodeid in golden.tests:
        if nodeid.partition("::")[0] == file and nodeid not in collected:
            yield nodeid


def collect_digests(golden: Golden) -> set[str]:
    """The digests of all stored values."""
    return {
        value.digest for entries in golden.tests.values() for entry in entries.values() for value in entry
    }
