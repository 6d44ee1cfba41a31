"""Strict reading of JSON that another machine, another version or an attacker may have written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

MAX_INT = 2**128
"""Larger integers are refused: Python cannot print those of more than 4,300 digits."""

NON_FINITE = {
    "NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf,
    "nan": math.nan, "inf": math.inf, "-inf": -math.inf,
}  # fmt: skip
"""Numbers that JSON has no literal for. The short spellings are only read: older golden files have them."""


class BadJson(ValueError):
    """The text is not JSON, or not what was expected; the message says where and what was expected."""


def format_non_finite(number: float) -> str:
    """The text that stands for *number*, which is not finite: ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


class JsonNode:
    """A JSON value together with where it is in the file.

    Indexing reads an object, iteration a list. Each ``as_`` method returns the value if it is one. All raise
    :class:`BadJson` otherwise.

    Args:
        value: What the JSON text holds, or a part of it.
        key: How errors call it: ``"tests[3]"``, or ``"a.json: "`` for all of a file; of a part its key in
            *parent*: text in an object of fixed keys, a number in a list, ``(text,)`` in any other object.
        parent: What it is a part of.
    """

    __slots__ = ("_key", "_parent", "value")

    def __init__(self, value: Any, key: str | int | tuple[str] = "", parent: JsonNode | None = None) -> None:
        self.value = value
        self._key = key
        self._parent = parent

    @property
    def location(self) -> str:
        """Where the value is: ``"a.json: tests[3].runs[0]"``; formatted only if there is an error."""
        prefix = self._parent.location if self._parent is not None else ""
        if isinstance(self._key, str):
            return f"{prefix}{self._key}" if not prefix or prefix.endswith(": ") else f"{prefix}.{self._key}"
        return f"{prefix}{list(self._key) if isinstance(self._key, tuple) else [self._key]}"

    def get(self, key: str) -> JsonNode | None:
        """The value at *key* of an object; None if there is none."""
        fields = self.as_object()
        return JsonNode(fields[key], key, self) if key in fields else None

    def __getitem__(self, key: str) -> JsonNode:
        return self.get(key) or self.refuse(f"has no {key!r}")

    def __iter__(self) -> Iterator[JsonNode]:
        for number, value in enumerate(self._expect(list, "a list")):
            yield JsonNode(value, number, self)

    def items(self) -> Iterator[tuple[str, JsonNode]]:
        for key, value in self.as_object().items():
            yield key, JsonNode(value, (key,), self)

    def as_object(self) -> Mapping[str, Any]:
        """The object, unchecked inside."""
        return self._expect(dict, "an object")  # type: ignore[no-any-return]

    def as_text(self, *allowed: str) -> str:
        """The text, which is one of *allowed* if any are given."""
        if not isinstance(self.value, str) or (allowed and self.value not in allowed):
            self._refuse_type(f"one of {', '.join(allowed)}" if allowed else "text")
        return str(self.value)

    def as_printable(self) -> str:
        """The text, which contains nothing that controls a terminal."""
        text = self.as_text()
        return text if text.isprintable() else self._refuse_type("printable text")

    def as_match(self, pattern: re.Pattern[str]) -> str:
        """The text, all of which matches *pattern*."""
        text = self.as_text()
        return text if pattern.fullmatch(text) else self._refuse_type(f"of the form {pattern.pattern}")

    def as_bool(self) -> bool:
        return bool(self._expect(bool, "true or false"))

    def as_int(self, minimum: int = 0) -> int:
        """The whole number, from *minimum* to :data:`MAX_INT`."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self._refuse_type("a whole number")
        if not minimum <= self.value <= MAX_INT:
            self.refuse(f"is {_shorten(self.value)}, out of range: {minimum} or more is expected")
        return self.value

    def as_number(self) -> int | float:
        """The number; NaN and infinity, for which JSON has no literal, are text."""
        if isinstance(self.value, str) and self.value in NON_FINITE:
            return NON_FINITE[self.value]
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            self._refuse_type("a number")
        if not (abs(self.value) < MAX_INT if isinstance(self.value, int) else math.isfinite(self.value)):
            self.refuse("is too large a number")
        return self.value

    def as_finite(self) -> float:
        return float(self.value) if math.isfinite(self.as_number()) else self._refuse_type("a finite number")

    def as_scalar(self) -> str | int | float | bool | None:
        """Text, a number, true, false or null: the value of an axis."""
        if isinstance(self.value, (list, dict)):
            self._refuse_type("a single value")
        return self.value  # type: ignore[no-any-return]

    def as_str_mapping(self) -> Mapping[str, str]:
        """The object, all of whose values are text."""
        return {key: node.as_text() for key, node in self.items()}

    def _expect(self, expected: type, description: str) -> Any:
        return self.value if isinstance(self.value, expected) else self._refuse_type(description)

    def _refuse_type(self, expected: str) -> NoReturn:
        self.refuse(f"is {_shorten(self.value)}, not {expected}")

    def refuse(self, reason: str) -> NoReturn:
        """Raises :class:`BadJson`: *reason* says what the value is or has, instead of what was expected."""
        raise BadJson(f"{self.location.rstrip()} {reason}".lstrip())


def _shorten(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    try:
        text = json.dumps(value)
    except ValueError:  # a number of more digits than Python prints
        return "a number"
    return text if len(text) <= 40 else f"{text[:39]}…"


def parse_json(text: str | bytes, name: str = "") -> JsonNode:
    """The value that *text* holds; errors call it by *name*, as :class:`JsonNode` says.

    Raises:
        BadJson: It is not strict JSON, or bytes that are not UTF-8.
    """
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        return JsonNode(json.loads(decoded, parse_constant=refuse_constant), name)
    except json.JSONDecodeError as error:
        cut = " (cut off?)" if error.pos >= len(error.doc.rstrip()) and error.doc.strip() else ""
        reason = f"is not JSON: {error.msg.removesuffix(' at')} at line {error.lineno}{cut}"
    except RecursionError:
        reason = "is nested too deeply"
    except UnicodeDecodeError:
        reason = "is not JSON: it is not UTF-8 text"
    except ValueError as error:  # a number of thousands of digits, or NaN
        reason = f"is not JSON: {error}"
    raise BadJson(f"{name.removesuffix(': ')} {reason}".lstrip())


def refuse_constant(name: str) -> NoReturn:
    """Refuses ``NaN`` and ``Infinity``, as ``parse_constant`` of a JSON decoder."""
    raise ValueError(f"{name} is not strict JSON")
