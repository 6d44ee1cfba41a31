"""What tests took from outside, as a file: strict JSON, which nothing but text is made of."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from pytest_repro.core.replay.external_input import Log, Taken

FORMAT = 1
_KIND = "pytest-repro replay"
_FIELDS = tuple(field.name for field in fields(Taken))
_CLOCK = re.compile(r"[a-z_]+")
_SIZED = re.compile(r"(\d{1,9}) (bits|bytes)")


def plain(log: Log) -> dict[str, Any]:
    """*log* as plain data."""
    return {"generators": dict(log.generators), "calls": [asdict(each) for each in log.calls]}


def text(tests: Mapping[str, Mapping[str, Any]]) -> str:
    """The content of the file.

    Args:
        tests: Node id → what :func:`plain` gave, in the order of the file.
    """
    states: dict[str, int] = {}  # a generator that stands still is the same in a thousand tests
    rows = {
        nodeid: {
            "generators": {n: states.setdefault(s, len(states)) for n, s in test["generators"].items()},
            "calls": test["calls"],
        }
        for nodeid, test in tests.items()
    }
    content = {"kind": _KIND, "format": FORMAT, "tests": rows, "states": list(states)}
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write(path: Path, content: str) -> None:
    """Puts *content* in the place of *path* at once: no reader ever meets half of it.

    Raises:
        OSError: The file cannot be written; what was there before is there still.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(content, encoding="utf-8", errors="backslashreplace")
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def read(content: str) -> dict[str, Log]:
    """The logs that *content* holds, by node id.

    Raises:
        ValueError: It is no log, or a damaged or newer one; the message says what and where.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON, or not all of it: {error}") from None
    if not isinstance(found, dict) or found.get("kind") != _KIND:
        raise ValueError("is no log of pytest-repro")
    if found.get("format") != FORMAT:
        newer = f"is a log of format {found.get('format')!r}"
        raise ValueError(f"{newer}; this version of pytest-repro reads format {FORMAT}")
    tests, states = _each(found.get("tests"), dict, "tests"), _each(found.get("states"), list, "states")
    for number, state in enumerate(states):
        _each(state, str, f"states[{number}]")
    return {nodeid: _log(row, states, f"tests[{nodeid!r}]") for nodeid, row in tests.items()}


def _log(row: Any, states: list[str], at: str) -> Log:
    row = _each(row, dict, at)
    numbers = _each(row.get("generators"), dict, f"{at}.generators")
    for name, number in numbers.items():
        _checked(number, partial(_numbers, states), f"{at}.generators[{name!r}]")
    calls = _each(row.get("calls"), list, f"{at}.calls")
    generators = {name: states[number] for name, number in numbers.items()}
    return Log(generators, tuple(_taken(call, f"{at}.calls[{n}]") for n, call in enumerate(calls)))


def _numbers(states: list[str], number: object) -> bool:
    return type(number) is int and 0 <= number < len(states)


def _taken(row: Any, at: str) -> Taken:
    row = _each(row, dict, at)
    for name in _FIELDS:
        _each(row.get(name), str, f"{at}.{name}")
    taken = Taken(*(row[name] for name in _FIELDS))
    _checked(taken.value, lambda given: _fits(taken.asked, given), f"{at}.value")
    return taken


def _fits(asked: str, value: str) -> bool:
    """Whether *value* answers what was *asked*."""
    sized = _SIZED.fullmatch(asked)
    if sized is None:
        return bool(_CLOCK.fullmatch(asked)) and re.fullmatch(r"-?\d{1,30}", value) is not None
    if re.fullmatch("[0-9a-f]*", value) is None:
        return False
    number = int(sized[1])
    return len(value) == 2 * number if sized[2] == "bytes" else int(value or "0", 16).bit_length() <= number


def _each(found: Any, kind: type, at: str) -> Any:
    return _checked(found, lambda given: isinstance(given, kind), at)


def _checked(found: Any, fits: Callable[[Any], bool], at: str) -> Any:
    if not fits(found):
        raise ValueError(f"is damaged: {at} cannot be {str(found)[:40]!r}")
    return found
