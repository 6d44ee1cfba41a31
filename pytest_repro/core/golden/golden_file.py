"""A golden file's text: strict JSON, sorted, a line for each observation, no time and no path in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_repro.core.compare.statistics import NUMBERS, Statistics
from pytest_repro.core.golden.golden import Entry, Fields, Golden, Row

FORMAT = 1
_KIND = "pytest-repro golden"
_WORDS = ("nan", "inf", "-inf")
_KEY, _DIGEST = re.compile("[0-9a-f]{16}"), re.compile("[0-9a-f]{32}")


def text(golden: Golden) -> str:
    """The content of the file that holds *golden*."""
    return "\n".join(_lines(golden)) + "\n"


def _lines(golden: Golden) -> Iterator[str]:
    yield "{"
    environments = json.dumps(golden.environments, indent=1, sort_keys=True)
    yield f' "environments": {environments}'.replace("\n", "\n ") + ","
    yield f' "format": {FORMAT},\n "kind": "{_KIND}",'
    yield from _block(1, "tests", {n: _of_test(entries) for n, entries in golden.tests.items()}, "")
    yield "}"


def _of_test(entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    return {key: [json.dumps(_plain(row), sort_keys=True) for row in entry] for key, entry in entries.items()}


def _block(depth: int, name: str, content: Any, comma: str) -> Iterator[str]:
    """A dict of dicts of lists of lines, an observation to a line."""
    indent, (opened, closed) = " " * depth, "{}" if isinstance(content, dict) else "[]"
    yield f"{indent}{json.dumps(name)}: {opened}"
    last = len(content) - 1
    for number, each in enumerate(sorted(content) if isinstance(content, dict) else content):
        following = "," if number < last else ""
        if isinstance(content, dict):
            yield from _block(depth + 1, each, content[each], following)
        else:
            yield f"{indent} {each}{following}"
    yield f"{indent}{closed}{comma}"


def _plain(row: Row) -> dict[str, Any]:
    name, step, path = row.key
    plain: dict[str, Any] = {"name": name, "kind": row.kind, "digest": row.digest}
    plain |= {"step": step} if step else {}
    plain |= {"path": path} if path else {}
    found = row.statistics
    if found is not None:
        plain |= {each: _spoken(known) for each in NUMBERS if (known := getattr(found, each)) is not None}
        plain |= {"non_finite": found.non_finite} if found.non_finite else {}
        plain["elements"] = [list(each) for each in found.elements]
    return plain


def _spoken(number: float) -> float | str:
    """*number*, or the word for what JSON has no number for."""
    return number if abs(number) < float("inf") else str(number)


def read(content: str) -> Golden:
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
        key: _environment(key, fields, f"environments[{key!r}]")
        for key, fields in _a(dict, found.get("environments"), "environments").items()
    }
    tests = {
        nodeid: _test(entries, environments, f"tests[{nodeid!r}]")
        for nodeid, entries in _a(dict, found.get("tests"), "tests").items()
    }
    return Golden(environments, tests)


def _environment(key: str, fields: Any, at: str) -> Fields:
    _fits(_KEY.fullmatch(key) is not None, key, at)
    for name, value in _a(dict, fields, at).items():
        _shown(name, at)
        _shown(value, f"{at}[{name!r}]")
    return dict(fields)


def _test(entries: Any, environments: Mapping[str, Fields], at: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for key, rows in _a(dict, entries, at).items():
        _fits(key in environments, key, f"an environment of {at}")
        rows = _a(list, rows, f"{at}[{key!r}]")
        found[key] = tuple(_row(row, f"{at}[{key!r}][{number}]") for number, row in enumerate(rows))
    return found


def _row(plain: Any, at: str) -> Row:
    plain = _a(dict, plain, at)
    name, path = _a(str, plain.get("name"), f"{at}.name"), _a(str, plain.get("path", ""), f"{at}.path")
    step = _a(int, plain.get("step", 0), f"{at}.step")
    _fits(0 <= step < 2**63, step, f"{at}.step")
    digest = _a(str, plain.get("digest"), f"{at}.digest")
    _fits(_DIGEST.fullmatch(digest) is not None, digest, f"{at}.digest")
    kind = _shown(plain.get("kind"), f"{at}.kind")
    return Row((name, step, path), kind, digest, _statistics(plain, at) if "elements" in plain else None)


def _statistics(plain: Mapping[str, Any], at: str) -> Statistics:
    known = plain.keys() & NUMBERS  # all, or where no element is finite none
    read = {each: _number(plain.get(each), f"{at}.{each}") for each in NUMBERS if known}
    odd = _a(int, plain.get("non_finite", 0), f"{at}.non_finite")
    _fits(0 <= odd < 2**63, odd, f"{at}.non_finite")
    elements = _a(list, plain.get("elements"), f"{at}.elements")
    for each in elements:
        fits = isinstance(each, list) and [*map(type, each)] == [int, str]
        _fits(fits and each[1].isprintable(), each, f"{at}.elements")
    shown = tuple((index, text) for index, text in elements)
    return Statistics(**read, non_finite=odd, elements=shown)


def _number(found: Any, at: str) -> float:
    _fits(found in _WORDS if isinstance(found, str) else type(found) in (int, float), found, at)
    _fits(not isinstance(found, int) or abs(found) < 2**1023, found, at)
    return float(found)


def _a(kind: type, found: Any, at: str) -> Any:
    _fits(isinstance(found, kind) and not (kind is int and isinstance(found, bool)), found, at)
    return found


def _shown(found: Any, at: str) -> str:
    """Text that stands in messages as it is: it may not tell a terminal what to do."""
    _fits(isinstance(found, str) and found.isprintable(), found, at)
    return str(found)


def _fits(fits: bool, found: Any, at: str) -> None:
    if not fits:
        raise ValueError(f"is damaged: {at} cannot be {_short(found)}")


def _short(found: Any) -> str:
    try:
        return repr(found)[:40]
    except ValueError:  # an integer of thousands of digits
        return "a number this long"
