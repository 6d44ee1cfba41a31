"""Reads a JSON report that may be anything: another machine, another version, another's hand wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pytest_repro.reports.json import FORMAT

MAX_REPORT_MIB = 256
"""MiB of a report that is read: two million observations."""


class BadReport(ValueError):
    """What was given is no report, or one that cannot be read; the message says which and where."""


INCONSISTENCY_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What is raised where each field fits, and they do not fit each other: a run of an axis that the plan does
not name."""


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A value in a report, and where it stands.

    Attributes:
        value: As JSON has it.
        location: ``"a.json: tests[3].runs[0]"``.
    """

    value: Any
    location: str

    def get(self, key: str) -> JsonNode | None:
        """What stands under *key*; None where nothing does."""
        fields = self._expect(dict, "an object")
        return JsonNode(fields[key], f"{self.location}.{key}") if key in fields else None

    def __getitem__(self, key: str) -> JsonNode:
        """What stands under *key*, which must be there."""
        found = self.get(key)
        return self._refuse(f"has no {key!r}") if found is None else found

    def __iter__(self) -> Iterator[JsonNode]:
        """The members of a list."""
        for number, value in enumerate(self._expect(list, "a list")):
            yield JsonNode(value, f"{self.location}[{number}]")

    def items(self) -> Iterator[tuple[str, JsonNode]]:
        """The fields of an object."""
        for key, value in self._expect(dict, "an object").items():
            yield key, JsonNode(value, f"{self.location}[{key!r}]")

    def as_text(self, *allowed: str) -> str:
        """Text; where *allowed* is given, one of that."""
        found = str(self._expect(str, "text"))
        if allowed and found not in allowed:
            self._refuse(f"is {_shorten(found)}, and not one of {', '.join(allowed)}")
        return found

    def as_int(self, minimum: int = 0) -> int:
        """A whole number, *minimum* or more."""
        found = int(self._expect(int, "a whole number"))
        return found if found >= minimum else self._refuse(f"is {_shorten(found)}, and less than {minimum}")

    def as_number(self) -> int | float:
        """A finite number."""
        found = self.value
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            self._refuse(f"is {_shorten(found)}, and no number")
        return found if _is_finite(found) else self._refuse("is too large a number")

    def as_scalar(self) -> str | int | float | bool | None:
        """Text, a number, true, false or null: the value of an axis."""
        if isinstance(self.value, (list, dict)):
            self._refuse(f"is {_shorten(self.value)}, and no single value")
        found: str | int | float | bool | None = self.value
        return found

    def as_str_mapping(self) -> Mapping[str, str]:
        """An object of texts."""
        return {key: place.as_text() for key, place in self.items()}

    def _expect(self, expected: type, description: str) -> Any:
        if not isinstance(self.value, expected) or (expected is int and isinstance(self.value, bool)):
            self._refuse(f"is {_shorten(self.value)}, and not {description}")
        return self.value

    def _refuse(self, reason: str) -> NoReturn:
        raise BadReport(f"{self.location} {reason}")


def _is_finite(number: int | float) -> bool:
    return abs(number) < 2**64 if isinstance(number, int) else math.isfinite(number)


def _shorten(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    try:
        text = json.dumps(value)
    except ValueError:  # a number of more digits than Python writes
        return "a number"
    return text if len(text) <= 40 else f"{text[:39]}…"


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was read; of its tests nothing is known yet.

    Attributes:
        path: As it was given.
        environment: What could change a result there, by name.
        seed: Of the session.
        tests: The rows.
    """

    path: str
    environment: Mapping[str, str]
    seed: int
    tests: tuple[JsonNode, ...]


def read_report(path: str) -> Report:
    """The report at *path*.

    Raises:
        BadReport: There is none, or it is of a newer format, or does not hang together.
    """
    found = JsonNode(_parse_json(path), path)
    if not isinstance(found.value, dict) or "format" not in found.value:
        raise BadReport(
            f'{path} is no report of pytest-repro: it has no "format"; --repro-json=PATH writes one'
        )
    number = found["format"].as_int(1)
    if number > FORMAT:
        why = f"and this pytest-repro reads up to format {FORMAT}: install a newer one"
        raise BadReport(f"{path} is of format {number}, {why}")
    tests = tuple(
        JsonNode(each.value, each.location.replace(".tests", ": tests", 1)) for each in found["tests"]
    )
    return Report(path, found["environment"].as_str_mapping(), found["seed"].as_int(), tests)


def _parse_json(path: str) -> Any:
    try:
        with Path(path).open("rb") as file:
            read = file.read(MAX_REPORT_MIB * 2**20 + 1)
        if len(read) > MAX_REPORT_MIB * 2**20:
            raise BadReport(f"{path} is larger than {MAX_REPORT_MIB} MiB: no report of pytest-repro is")
        return json.loads(read.decode("utf-8"), parse_constant=_reject_constant)
    except OSError as error:
        raise BadReport(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadReport(f"{path} is no JSON: it is not text in UTF-8") from None
    except RecursionError:
        raise BadReport(f"{path} is no report of pytest-repro: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        cut = " (cut off?)" if error.pos >= len(error.doc.rstrip()) and error.doc.strip() else ""
        raise BadReport(f"{path} is no JSON: {error.msg} at line {error.lineno}{cut}") from None
    except BadReport:
        raise
    except ValueError as error:  # a path with a NUL, a number of thousands of digits
        raise BadReport(f"{path} cannot be read: {error}") from None


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no strict JSON")
