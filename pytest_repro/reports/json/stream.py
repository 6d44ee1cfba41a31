"""Reads a JSON report of any size, one test at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

from pytest_repro.core.checked_json import JsonNode, refuse_constant
from pytest_repro.reports.json.report import BadReport, check_format

MAX_TEST_MIB = 256
"""Size in MiB of the largest test, or other value of the report, that is read."""

_CHUNK_BYTES = 2**18
_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder(parse_constant=refuse_constant)
_END_OF_TOKEN = 16  # where a text is cut inside ``false`` or ``\u00e9``, the error is this close to its end


class StreamedTest(NamedTuple):
    """One test of a report: its row, and the text of the row as it is in the file."""

    node: JsonNode
    text: str


class ReportStream:
    """The tests of the report at *path*, in the order of the file, in memory one at a time.

    After the last test, *head* has the other keys.
    """

    def __init__(self, path: str) -> None:
        self.path, self._root, self._head = path, JsonNode(None, f"{path}: "), dict[str, Any]()
        self._has_tests = False

    def __iter__(self) -> Iterator[StreamedTest]:
        """Each test.

        Raises:
            BadReport: The file cannot be read, is not a report, is cut off, or is of a newer format.
        """
        try:
            with open(Path(self.path), "rb") as file:
                yield from self._read(_Text(self.path, file))
        except OSError as error:
            raise BadReport(f"{self.path} cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise BadReport(f"{self.path} is not JSON: it is not UTF-8 text") from None
        except BadReport:
            raise
        except ValueError as error:  # a path with a NUL
            raise BadReport(f"{self.path} cannot be read: {error}") from None

    @property
    def head(self) -> JsonNode:
        """All keys but ``"tests"``, once the last test is read.

        Raises:
            BadReport: A key that every report has is missing.
        """
        if "format" not in self._head:
            check_format(self.path, None)
        if not self._has_tests:
            self._root.refuse("has no 'tests'")
        return JsonNode(self._head, f"{self.path}: ")

    def _read(self, text: _Text) -> Iterator[StreamedTest]:
        if (first := text.peek()) != "{":
            if not first:
                raise BadReport(f"{self.path} is empty")
            raise BadReport(f"{self.path} is not a report of pytest-repro: it is not a JSON object")
        for _ in text.iter_items("{", "}"):
            key, _ = text.read_value()
            if not isinstance(key, str):
                text.refuse("Expecting property name enclosed in double quotes")
            text.skip(":")
            if key == "tests" and text.peek() == "[":
                self._has_tests = True
                tests = JsonNode(None, "tests", self._root)
                for number in text.iter_items("[", "]"):
                    value, slice_ = text.read_value()
                    yield StreamedTest(JsonNode(value, number, tests), slice_)
            else:
                self._head[key] = text.read_value()[0]
                self._check(key)
        if text.peek():
            text.refuse("Extra data")

    def _check(self, key: str) -> None:
        if key == "tests":
            self._root.refuse("tests is not a list")
        if key == "format":
            check_format(self.path, JsonNode(self._head[key], key, self._root))


class _Text:
    """JSON text of a file, read and dropped piece by piece."""

    def __init__(self, path: str, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._buffer, self._at, self._lines, self._ended = "", 0, 1, False

    def peek(self) -> str:
        """The next character that is no space; ``""`` at the end."""
        while True:
            while self._at < len(self._buffer):
                if (character := self._buffer[self._at]) not in _SPACE:
                    return character
                self._at += 1
            if self._ended:
                return ""
            self._load(_CHUNK_BYTES)

    def skip(self, *expected: str) -> str:
        """Goes past the next character, which is one of *expected*."""
        if (character := self.peek()) not in expected or not character:
            self.refuse(f"Expecting {' or '.join(map(repr, expected))}")
        self._at += 1
        return character

    def iter_items(self, start: str, end: str) -> Iterator[int]:
        """Numbers of the items between two brackets; the caller reads each item."""
        self.skip(start)
        if self.peek() == end:
            self._at += 1
            return
        number = 0
        while True:
            yield number
            if self.skip(",", end) == end:
                return
            number += 1

    def read_value(self) -> tuple[Any, str]:
        """The next value, and its text."""
        if not self.peek():
            self.refuse("Expecting value")
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.pos >= len(self._buffer) - _END_OF_TOKEN or error.msg.startswith("Unterm")
                if self._ended or not is_cut:
                    self.refuse(error.msg.removesuffix(" at"), error.pos)
            except RecursionError:
                raise BadReport(f"{self._path} is nested too deeply") from None
            except ValueError as error:  # a number of thousands of digits, or NaN
                raise BadReport(f"{self._path} is not JSON: {error}") from None
            else:
                if end + 3 < len(self._buffer) or self._ended:  # otherwise "1e-" may go on
                    text, self._at = self._buffer[self._at : end], end
                    return value, text
            self._load(max(_CHUNK_BYTES, len(self._buffer) - self._at))

    def _load(self, size: int) -> None:
        """Drops what is read, and adds about *size* bytes."""
        self._lines += self._buffer.count("\n", 0, self._at)
        self._buffer, self._at = self._buffer[self._at :], 0
        if len(self._buffer) > MAX_TEST_MIB * 2**20:
            raise BadReport(f"{self._path} has a test larger than {MAX_TEST_MIB} MiB: no report has one")
        content = self._file.read(size)
        self._ended = not content
        self._buffer += self._decoder.decode(content, final=self._ended)

    def refuse(self, reason: str, at: int | None = None) -> NoReturn:
        """Raises :class:`BadReport` with the line of *at*, by default that of the next character."""
        at = self._at if at is None else at
        line = self._lines + self._buffer.count("\n", 0, at)
        is_at_end = len(self._buffer.rstrip()) - at <= _END_OF_TOKEN or reason.startswith("Unterm")
        cut = " (cut off?)" if self._ended and is_at_end else ""
        raise BadReport(f"{self._path} is not JSON: {reason} at line {line}{cut}")
