"""What a run took from outside the program, to replay it in other runs; the file of ``--repro-replay``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_repro.core.checked_json import BadJson, JsonNode, parse_json
from pytest_repro.core.codec import Codec, Field


@dataclass(frozen=True, slots=True)
class ExternalInput:
    """One call and its result, all of it text.

    *thread* is ``""`` for the main thread of the run, ``"2"`` for the second thread that it started,
    ``"2.1"`` for the first that this one started.
    """

    call: str  # source text: ``"np.random.default_rng()"``; ``""`` if there is none
    location: str  # the innermost line of the user's own code, ``"data.py:12"``
    via: str  # the library function that this line called to make the call: ``"uuid.uuid4"``; or ``""``
    thread: str
    request: str  # ``"128 bits"``, ``"16 bytes"``, or a clock, ``"monotonic"``
    value: str  # hexadecimal, or nanoseconds as a decimal number


@dataclass(frozen=True, slots=True)
class ReplayLog:
    """What one run took from outside the program.

    *generators* has the state of each generator at the start of the run, as text in the format of its
    library, by module and name: ``"data.rng"``.
    """

    generators: Mapping[str, str]
    calls: tuple[ExternalInput, ...]  # in order


FORMAT = 1
_KIND = "pytest-repro replay"
_CLOCK_NAME = re.compile(r"[a-z_]+")
_NANOSECONDS = re.compile(r"-?\d{1,30}")
_ENTROPY_REQUEST = re.compile(r"(\d{1,9}) (bits|bytes)")
_HEXADECIMAL = re.compile("[0-9a-f]*")

_CODEC = Codec({ExternalInput: ("call", "location", "via", "thread", Field("request", "asked"), "value")})


def encode_log(log: ReplayLog) -> dict[str, Any]:
    """*log* as plain data."""
    return _CODEC.encode(log)  # type: ignore[no-any-return]


def format_logs(tests: Mapping[str, Mapping[str, Any]]) -> str:
    """The content of the file, where *tests* is node id → what :func:`encode_log` returned, in order."""
    states: dict[str, int] = {}  # the state of an unused generator is the same in a thousand tests
    rows = {
        nodeid: {
            "generators": {n: states.setdefault(s, len(states)) for n, s in test["generators"].items()},
            "calls": test["calls"],
        }
        for nodeid, test in tests.items()
    }
    content = {"kind": _KIND, "format": FORMAT, "tests": rows, "states": list(states)}
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def read_logs(content: str) -> dict[str, ReplayLog]:
    """The logs in the file *content*, by node id.

    Raises:
        BadJson: *content* is no replay log, or a damaged or newer one; the message says what and where.
    """
    root = parse_json(content)
    if not isinstance(root.value, dict) or root.value.get("kind") != _KIND:
        raise BadJson("is not a replay log of pytest-repro")
    if (number := root.value.get("format")) != FORMAT:
        supported = f"this version of pytest-repro reads format {FORMAT}"
        raise BadJson(f"is a replay log of format {number!r:.20}; {supported}")
    try:
        states = [state.as_text() for state in root["states"]]
        return {nodeid: _read_log(node, states) for nodeid, node in root["tests"].items()}
    except BadJson as error:
        raise BadJson(f"is damaged: {error}") from None


def _read_log(node: JsonNode, states: list[str]) -> ReplayLog:
    generators = {name: _read_state(index, states) for name, index in node["generators"].items()}
    return ReplayLog(generators, tuple(map(_read_input, node["calls"])))


def _read_state(node: JsonNode, states: list[str]) -> str:
    index = node.as_int()
    if index >= len(states):
        node.refuse(f"is {index}: there are {len(states)} states")
    return states[index]


def _read_input(node: JsonNode) -> ExternalInput:
    external_input = _CODEC.decode(ExternalInput, node)
    entropy = _ENTROPY_REQUEST.fullmatch(external_input.request)
    if entropy is None:
        node["asked"].as_match(_CLOCK_NAME)
        node["value"].as_match(_NANOSECONDS)
        return external_input
    value, size = node["value"].as_match(_HEXADECIMAL), int(entropy[1])
    fits = len(value) == 2 * size if entropy[2] == "bytes" else int(value or "0", 16).bit_length() <= size
    return external_input if fits else node["value"].refuse(f"is not {external_input.request}")
