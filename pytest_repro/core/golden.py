"""Golden files: what is stored of tests for later sessions and other machines, and its text.

There is one file for each module, and in it one entry for each test and environment. The text is JSON with
sorted keys and a line for each observation, so that git merges it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pytest_repro.core.checked_json import BadJson, JsonNode, parse_json
from pytest_repro.core.codec import Codec, Field
from pytest_repro.core.compare.stored_value import NUMBER_FIELDS, Statistics, StoredValue

FORMAT = 1
_KIND = "pytest-repro golden"
_KEY, _DIGEST = re.compile("[0-9a-f]{16}"), re.compile("[0-9a-f]{32}")

# Whatever is displayed must be printable: a golden file may come from a fork's pull request.
_CODEC = Codec(
    {
        StoredValue: (
            "name",
            Field("kind", decode=JsonNode.as_printable),
            Field("digest", decode=lambda node: node.as_match(_DIGEST)),
            Field("step", decode=JsonNode.as_int),
            "path",
            "containers",
            Field("statistics", inline=True),
            "sweep",
        ),
        Statistics: (
            *NUMBER_FIELDS,
            Field("non_finite", decode=JsonNode.as_int),
            Field("elements", always=True),
        ),
    }
)

Environment = Mapping[str, str]
"""Whatever could change a result: ``{"numpy": "2.4.6", "threads": "2", …}``."""

Entry = tuple[StoredValue, ...]
"""The values of one test in one environment, in the order of recording."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The content of one golden file: environments by key, and of each test an entry by such keys."""

    environments: Mapping[str, Environment] = field(default_factory=dict)
    tests: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)  # by node id


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


def rank_entries(golden: Golden, nodeid: str, environment_key: str, environment: Environment) -> list[str]:
    """Keys of the environments that have an entry of *nodeid*, the one most like *environment* first."""

    def sort_key(key: str) -> tuple[bool, int, int, str]:
        stored = golden.environments[key]
        differing = len(diff_environments(environment, stored))
        return key != environment_key, differing, -len(environment.keys() & stored.keys()), key

    return sorted(golden.tests.get(nodeid, ()), key=sort_key)


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
    """Whether two entries have the same values, over seeds too, in any order."""
    first, second = ({value.key: (value.identity, repr(value.sweep)) for value in entry} for entry in (a, b))
    return first == second


def find_stale(golden: Golden, file: str, collected: Collection[str]) -> Iterator[str]:
    """Node ids in *golden* of tests in *file* (``"tests/test_a.py"``) that are not among *collected*."""
    return (n for n in golden.tests if n.partition("::")[0] == file and n not in collected)


def collect_digests(golden: Golden) -> set[str]:
    """The digests of all stored values."""
    entries = (entry for test in golden.tests.values() for entry in test.values())
    return {value.digest for entry in entries for value in entry}


def format_golden(golden: Golden) -> str:
    """The content of the file that stores *golden*."""
    environments = json.dumps(golden.environments, indent=1, sort_keys=True).replace("\n", "\n ")
    header = f'{{\n "environments": {environments},\n "format": {FORMAT},\n "kind": "{_KIND}",'
    return "\n".join([header, *_format_block(1, "tests", golden.tests, ""), "}\n"])


def _format_block(depth: int, name: str, content: Any, suffix: str) -> Iterator[str]:
    """Nested objects of lists of values, with a line for each value."""
    indent, (opening, closing) = " " * depth, "{}" if isinstance(content, Mapping) else "[]"
    yield f"{indent}{json.dumps(name)}: {opening}"
    last = len(content) - 1
    for number, item in enumerate(sorted(content) if isinstance(content, Mapping) else content):
        comma = "," if number < last else ""
        if isinstance(content, Mapping):
            yield from _format_block(depth + 1, item, content[item], comma)
        else:
            yield f"{indent} {json.dumps(_CODEC.encode(item), sort_keys=True)}{comma}"
    yield f"{indent}{closing}{suffix}"


def read_golden(content: str) -> Golden:
    """The golden file that *content* is.

    Raises:
        BadJson: *content* is no golden file, or a damaged or newer one; the message says what and where.
    """
    root = parse_json(content)
    if not isinstance(root.value, dict) or root.value.get("kind") != _KIND:
        raise BadJson("is not a golden file of pytest-repro")
    number = root.value.get("format")
    if number != FORMAT or isinstance(number, bool):
        raise BadJson(f"is of format {number!s:.20}; this version of pytest-repro reads format {FORMAT}")
    try:
        environments = {key: _read_environment(key, node) for key, node in root["environments"].items()}
        tests = {nodeid: _read_test(node, environments) for nodeid, node in root["tests"].items()}
    except BadJson as error:
        raise BadJson(f"is damaged: {error}") from None
    return Golden(environments, tests)


def _read_environment(key: str, node: JsonNode) -> Environment:
    JsonNode(key, "the key of an environment").as_match(_KEY)
    return {
        JsonNode(name, node.location).as_printable(): value.as_printable() for name, value in node.items()
    }


def _read_test(node: JsonNode, environments: Mapping[str, Environment]) -> dict[str, Entry]:
    for key, entry in node.items():
        if key not in environments:
            entry.refuse("has no environment")
    return {key: tuple(map(_read_value, entry)) for key, entry in node.items()}


def _read_value(node: JsonNode) -> StoredValue:
    value = _CODEC.decode(StoredValue, node)
    elements = value.statistics.elements if value.statistics is not None else ()
    for key, rows in (("elements", elements), ("containers", value.containers)):
        if not all(text.isprintable() for _, text in rows):
            node[key].refuse("is not printable")
    return value
