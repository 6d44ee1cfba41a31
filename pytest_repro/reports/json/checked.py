"""Reads a JSON report that may be anything: another machine, another version, another's hand wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pytest_repro.reports import FORMAT

LARGEST = 256
"""MiB of a report that is read: two million observations."""


class BadReport(ValueError):
    """What was given is no report, or one that cannot be read; the message says which and where."""


DISJOINT = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What is raised where each field fits, and they do not fit each other: a run of an axis that the plan does
not name."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a report, and where it stands.

    Attributes:
        value: As JSON has it.
        where: ``"a.json: tests[3].runs[0]"``.
    """

    value: Any
    where: str

    def get(self, key: str) -> Place | None:
        """What stands under *key*; None where nothing does."""
        fields = self._of(dict, "an object")
        return Place(fields[key], f"{self.where}.{key}") if key in fields else None

    def __getitem__(self, key: str) -> Place:
        """What stands under *key*, which must be there."""
        found = self.get(key)
        return self._refuse(f"has no {key!r}") if found is None else found

    def __iter__(self) -> Iterator[Place]:
        """The members of a list."""
        for number, value in enumerate(self._of(list, "a list")):
            yield Place(value, f"{self.where}[{number}]")

    def items(self) -> Iterator[tuple[str, Place]]:
        """The fields of an object."""
        for key, value in self._of(dict, "an object").items():
            yield key, Place(value, f"{self.where}[{key!r}]")

    def text(self, *allowed: str) -> str:
        """Text; where *allowed* is given, one of that."""
        found = str(self._of(str, "text"))
        if allowed and found not in allowed:
            self._refuse(f"is {_short(found)}, and not one of {', '.join(allowed)}")
        return found

    def whole(self, low: int = 0) -> int:
        """A whole number, *low* or more."""
        found = int(self._of(int, "a whole number"))
        return found if found >= low else self._refuse(f"is {_short(found)}, and less than {low}")

    def number(self) -> int | float:
        """A finite number."""
        found = self.value
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            self._refuse(f"is {_short(found)}, and no number")
        return found if _finite(found) else self._refuse("is too large a number")

    def scalar(self) -> str | int | float | bool | None:
        """Text, a number, true, false or null: the value of an axis."""
        if isinstance(self.value, (list, dict)):
            self._refuse(f"is {_short(self.value)}, and no single value")
        found: str | int | float | bool | None = self.value
        return found

    def strings(self) -> Mapping[str, str]:
        """An object of texts."""
        return {key: place.text() for key, place in self.items()}

    def _of(self, kind: type, called: str) -> Any:
        if not isinstance(self.value, kind) or (kind is int and isinstance(self.value, bool)):
            self._refuse(f"is {_short(self.value)}, and not {called}")
        return self.value

    def _refuse(self, why: str) -> NoReturn:
        raise BadReport(f"{self.where} {why}")


def _finite(number: int | float) -> bool:
    return abs(number) < 2**64 if isinstance(number, int) else math.isfinite(number)


def _short(value: Any) -> str:
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
    tests: tuple[Place, ...]


def report_of(path: str) -> Report:
    """The report at *path*.

    Raises:
        BadReport: There is none, or it is of a newer format, or does not hang together.
    """
    found = Place(_parsed(path), path)
    if not isinstance(found.value, dict) or "format" not in found.value:
        raise BadReport(
            f'{path} is no report of pytest-repro: it has no "format"; --repro-json=PATH writes one'
        )
    number = found["format"].whole(1)
    if number > FORMAT:
        why = f"and this pytest-repro reads up to format {FORMAT}: install a newer one"
        raise BadReport(f"{path} is of format {number}, {why}")
    tests = tuple(Place(each.value, each.where.replace(".tests", ": tests", 1)) for each in found["tests"])
    return Report(path, found["environment"].strings(), found["seed"].whole(), tests)


def _parsed(path: str) -> Any:
    try:
        with Path(path).open("rb") as file:
            read = file.read(LARGEST * 2**20 + 1)
        if len(read) > LARGEST * 2**20:
            raise BadReport(f"{path} is larger than {LARGEST} MiB: no report of pytest-repro is")
        return json.loads(read.decode("utf-8"), parse_constant=_no_constant)
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


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no strict JSON")
