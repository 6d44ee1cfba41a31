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

from pytest_repro.core.replay.external_input import ExternalInput, ReplayLog

FORMAT = 1
_KIND = "pytest-repro replay"
_FIELDS = tuple(field.name for field in fields(ExternalInput))
_CLOCK_NAME = re.compile(r"[a-z_]+")
_ENTROPY_REQUEST = re.compile(r"(\d{1,9}) (bits|bytes)")


def encode_log(log: ReplayLog) -> dict[str, Any]:
    """*log* as plain data."""
    return {"generators": dict(log.generators), "calls": [asdict(each) for each in log.calls]}


def format_logs(tests: Mapping[str, Mapping[str, Any]]) -> str:
    """The content of the file.

    Args:
        tests: Node id → what :func:`encode_log` gave, in the order of the file.
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


def write_atomically(path: Path, content: str) -> None:
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


def read_logs(content: str) -> dict[str, ReplayLog]:
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
    tests, states = (
        _check_type(found.get("tests"), dict, "tests"),
        _check_type(found.get("states"), list, "states"),
    )
    for number, state in enumerate(states):
        _check_type(state, str, f"states[{number}]")
    return {nodeid: _decode_log(row, states, f"tests[{nodeid!r}]") for nodeid, row in tests.items()}


def _decode_log(row: Any, states: list[str], where: str) -> ReplayLog:
    row = _check_type(row, dict, where)
    numbers = _check_type(row.get("generators"), dict, f"{where}.generators")
    for name, number in numbers.items():
        _check(number, partial(_is_state_index, states), f"{where}.generators[{name!r}]")
    calls = _check_type(row.get("calls"), list, f"{where}.calls")
    generators = {name: states[number] for name, number in numbers.items()}
    return ReplayLog(
        generators, tuple(_decode_input(call, f"{where}.calls[{n}]") for n, call in enumerate(calls))
    )


def _is_state_index(states: list[str], number: object) -> bool:
    return type(number) is int and 0 <= number < len(states)


def _decode_input(row: Any, where: str) -> ExternalInput:
    row = _check_type(row, dict, where)
    for name in _FIELDS:
        _check_type(row.get(name), str, f"{where}.{name}")
    taken = ExternalInput(*(row[name] for name in _FIELDS))
    _check(taken.value, lambda given: _answers_request(taken.request, given), f"{where}.value")
    return taken


def _answers_request(request: str, value: str) -> bool:
    """Whether *value* answers what was *request*."""
    sized = _ENTROPY_REQUEST.fullmatch(request)
    if sized is None:
        return bool(_CLOCK_NAME.fullmatch(request)) and re.fullmatch(r"-?\d{1,30}", value) is not None
    if re.fullmatch("[0-9a-f]*", value) is None:
        return False
    number = int(sized[1])
    return len(value) == 2 * number if sized[2] == "bytes" else int(value or "0", 16).bit_length() <= number


def _check_type(value: Any, expected_type: type, where: str) -> Any:
    return _check(value, lambda given: isinstance(given, expected_type), where)


def _check(value: Any, is_valid: Callable[[Any], bool], where: str) -> Any:
    if not is_valid(value):
        raise ValueError(f"is damaged: {where} cannot be {str(value)[:40]!r}")
    return value
