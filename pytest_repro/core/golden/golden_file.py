"""A golden file's text: strict JSON, sorted, a line for each observation, no time and no path in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_repro.core.compare.statistics import NUMBER_FIELDS, Statistics
from pytest_repro.core.golden.golden import Entry, Environment, Golden, StoredValue

FORMAT = 1
_KIND = "pytest-repro golden"
_NON_FINITE = ("nan", "inf", "-inf")
_KEY, _DIGEST = re.compile("[0-9a-f]{16}"), re.compile("[0-9a-f]{32}")


def format_golden(golden: Golden) -> str:
    """The content of the file that holds *golden*."""
    return "\n".join(_format_lines(golden)) + "\n"


def _format_lines(golden: Golden) -> Iterator[str]:
    yield "{"
    environments = json.dumps(golden.environments, indent=1, sort_keys=True)
    yield f' "environments": {environments}'.replace("\n", "\n ") + ","
    yield f' "format": {FORMAT},\n "kind": "{_KIND}",'
    yield from _format_block(
        1, "tests", {n: _encode_test(entries) for n, entries in golden.tests.items()}, ""
    )
    yield "}"


def _encode_test(entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    return {
        key: [json.dumps(_encode_value(row), sort_keys=True) for row in entry]
        for key, entry in entries.items()
    }


def _format_block(depth: int, name: str, content: Any, suffix: str) -> Iterator[str]:
    """A dict of dicts of lists of lines, an observation to a line."""
    indent, (opened, closed) = " " * depth, "{}" if isinstance(content, dict) else "[]"
    yield f"{indent}{json.dumps(name)}: {opened}"
    last = len(content) - 1
    for number, each in enumerate(sorted(content) if isinstance(content, dict) else content):
        following = "," if number < last else ""
        if isinstance(content, dict):
            yield from _format_block(depth + 1, each, content[each], following)
        else:
            yield f"{indent} {each}{following}"
    yield f"{indent}{closed}{suffix}"


def _encode_value(value: StoredValue) -> dict[str, Any]:
    name, step, path = value.key
    plain: dict[str, Any] = {"name": name, "kind": value.kind, "digest": value.digest}
    plain |= {"step": step} if step else {}
    plain |= {"path": path} if path else {}
    found = value.statistics
    if found is not None:
        plain |= {
            each: _encode_number(known)
            for each in NUMBER_FIELDS
            if (known := getattr(found, each)) is not None
        }
        plain |= {"non_finite": found.non_finite} if found.non_finite else {}
        plain["elements"] = [list(each) for each in found.elements]
    return plain


def _encode_number(number: float) -> float | str:
    """*number*, or the word for what JSON has no number for."""
    return number if abs(number) < float("inf") else str(number)


def read_golden(content: str) -> Golden:
    """What *content* holds.

    Raises:
        ValueError: It is no golden file, or a damaged or newer one; the message says what and where.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON, or not all of it: {error}") from None
    if not isinstance(found, dict) or found.get("kind") != _KIND:
        raise ValueError("is no golden file of pytest-repro")
    if found.get("format") != FORMAT or isinstance(found["format"], bool):
        other = f"is of format {str(found.get('format'))[:20]}"
        raise ValueError(f"{other}; this version of pytest-repro reads format {FORMAT}")
    environments = {
        key: _decode_environment(key, fields, f"environments[{key!r}]")
        for key, fields in _check_type(dict, found.get("environments"), "environments").items()
    }
    tests = {
        nodeid: _decode_test(entries, environments, f"tests[{nodeid!r}]")
        for nodeid, entries in _check_type(dict, found.get("tests"), "tests").items()
    }
    return Golden(environments, tests)


def _decode_environment(key: str, environment: Any, where: str) -> Environment:
    _check(_KEY.fullmatch(key) is not None, key, where)
    for name, value in _check_type(dict, environment, where).items():
        _check_printable(name, where)
        _check_printable(value, f"{where}[{name!r}]")
    return dict(environment)


def _decode_test(entries: Any, environments: Mapping[str, Environment], where: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for key, rows in _check_type(dict, entries, where).items():
        _check(key in environments, key, f"an environment of {where}")
        rows = _check_type(list, rows, f"{where}[{key!r}]")
        found[key] = tuple(
            _decode_value(row, f"{where}[{key!r}][{number}]") for number, row in enumerate(rows)
        )
    return found


def _decode_value(row: Any, where: str) -> StoredValue:
    row = _check_type(dict, row, where)
    name, path = (
        _check_type(str, row.get("name"), f"{where}.name"),
        _check_type(str, row.get("path", ""), f"{where}.path"),
    )
    step = _check_type(int, row.get("step", 0), f"{where}.step")
    _check(0 <= step < 2**63, step, f"{where}.step")
    digest = _check_type(str, row.get("digest"), f"{where}.digest")
    _check(_DIGEST.fullmatch(digest) is not None, digest, f"{where}.digest")
    kind = _check_printable(row.get("kind"), f"{where}.kind")
    return StoredValue(
        (name, step, path), kind, digest, _decode_statistics(row, where) if "elements" in row else None
    )


def _decode_statistics(row: Mapping[str, Any], where: str) -> Statistics:
    known = row.keys() & NUMBER_FIELDS  # all, or where no element is finite none
    read = {each: _decode_number(row.get(each), f"{where}.{each}") for each in NUMBER_FIELDS if known}
    odd = _check_type(int, row.get("non_finite", 0), f"{where}.non_finite")
    _check(0 <= odd < 2**63, odd, f"{where}.non_finite")
    elements = _check_type(list, row.get("elements"), f"{where}.elements")
    for each in elements:
        fits = isinstance(each, list) and [*map(type, each)] == [int, str]
        _check(fits and each[1].isprintable(), each, f"{where}.elements")
    shown = tuple((index, text) for index, text in elements)
    return Statistics(**read, non_finite=odd, elements=shown)


def _decode_number(value: Any, where: str) -> float:
    _check(value in _NON_FINITE if isinstance(value, str) else type(value) in (int, float), value, where)
    _check(not isinstance(value, int) or abs(value) < 2**1023, value, where)
    return float(value)


def _check_type(expected_type: type, value: Any, where: str) -> Any:
    _check(
        isinstance(value, expected_type) and not (expected_type is int and isinstance(value, bool)),
        value,
        where,
    )
    return value


def _check_printable(value: Any, where: str) -> str:
    """Text that stands in messages as it is: it may not tell a terminal what to do."""
    _check(isinstance(value, str) and value.isprintable(), value, where)
    return str(value)


def _check(valid: bool, value: Any, where: str) -> None:
    if not valid:
        raise ValueError(f"is damaged: {where} cannot be {_shorten(value)}")


def _shorten(value: Any) -> str:
    try:
        return repr(value)[:40]
    except ValueError:  # an integer of thousands of digits
        return "a number this long"
