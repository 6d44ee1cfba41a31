"""The text of a golden file: JSON with sorted keys and a line for each observation, so that git merges it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_repro.core.checked_json import BadJson, JsonNode, parse_json
from pytest_repro.core.codec import Codec, Field
from pytest_repro.core.compare.statistics import NUMBER_FIELDS, Statistics
from pytest_repro.core.golden.golden import Entry, Environment, Golden
from pytest_repro.core.golden.stored_value import StoredValue

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
            Field("statistics", inline=True),
        ),
        Statistics: (
            *NUMBER_FIELDS,
            Field("non_finite", decode=JsonNode.as_int),
            Field("elements", always=True),
        ),
    }
)


def format_golden(golden: Golden) -> str:
    """The content of the file that stores *golden*."""
    return "\n".join(_format_lines(golden)) + "\n"


def _format_lines(golden: Golden) -> Iterator[str]:
    yield "{"
    environments = json.dumps(golden.environments, indent=1, sort_keys=True)
    yield f' "environments": {environments}'.replace("\n", "\n ") + ","
    yield f' "format": {FORMAT},\n "kind": "{_KIND}",'
    yield from _format_block(1, "tests", golden.tests, "")
    yield "}"


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
    if value.statistics is not None and not all(text.isprintable() for _, text in value.statistics.elements):
        node["elements"].refuse("is not printable")
    return value
