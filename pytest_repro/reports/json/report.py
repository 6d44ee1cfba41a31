"""JSON report files, format 1: strict JSON, written by this version and read from any machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pytest_repro.core.checked_json import BadJson, JsonNode, parse_json
from pytest_repro.core.files import replace_file
from pytest_repro.reports.json import FORMAT

MAX_REPORT_MIB = 256
"""Size in MiB of the largest report that is read: two million observations."""

BadReport = BadJson
"""The file is not a report, or cannot be read; the message says which file and where."""

_INCONSISTENCY_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def refuse_inconsistent(row: JsonNode) -> Iterator[None]:
    """Raises :class:`BadReport` if keys of *row* contradict each other: a run of an axis not in the plan."""
    try:
        yield
    except BadReport:
        raise
    except _INCONSISTENCY_ERRORS as error:
        raise BadReport(f"{row.location} is inconsistent: {type(error).__name__}: {error}") from error


class ReportHead(NamedTuple):
    """Which session a report is of."""

    run_id: str = ""  # equal in all shards of one CI run
    shard: str = ""  # ``"3/100"``; ``""`` without shards
    commit: str = ""  # with ``-dirty`` if tracked files differ; ``""`` if unknown
    started: str = ""  # ``"2026-01-31T08:00:00Z"``
    duration: float = 0.0  # seconds


@dataclass(frozen=True, slots=True)
class Report:
    """A report whose tests are not read yet."""

    path: str  # path as it was given
    environment: Mapping[str, str]  # whatever could change a result on that machine, by name
    seed: int  # seed of the session
    tests: tuple[JsonNode, ...]  # one row for each test
    commit: str = ""  # the commit that was checked out; ``""`` if unknown


def read_report(path: str) -> Report:
    """The report at *path*.

    Raises:
        BadReport: It cannot be read, is not a report, or is of a newer format.
    """
    report = parse_json(_read_bytes(path), f"{path}: ")
    check_format(path, report.get("format") if isinstance(report.value, dict) else None)
    environment, seed = report["environment"].as_str_mapping(), report["seed"].as_int()
    commit = node.as_text() if (node := report.get("commit")) else ""
    return Report(path, environment, seed, tuple(report["tests"]), commit)


def check_format(path: str, number: JsonNode | None) -> None:
    """Raises :class:`BadReport` for the *number* of a later format, or without any."""
    if number is None:
        why = 'it has no "format"; --repro-json=PATH writes one'
        raise BadReport(f"{path} is not a report of pytest-repro: {why}")
    if number.as_int(1) > FORMAT:
        why = f"and this pytest-repro reads up to format {FORMAT}: install a newer one"
        raise BadReport(f"{path} is of format {number.value}, {why}")


def _read_bytes(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_REPORT_MIB * 2**20 + 1)
    except OSError as error:
        raise BadReport(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a path with a NUL
        raise BadReport(f"{path} cannot be read: {error}") from None
    if len(content) > MAX_REPORT_MIB * 2**20:
        raise BadReport(f"{path} is larger than {MAX_REPORT_MIB} MiB: only merge and history read it")
    return content


def build_report(
    tests: Iterable[Mapping[str, Any]],
    seed: int,
    environment: Mapping[str, str],
    head: ReportHead | None = None,
) -> dict[str, Any]:
    """The report as plain data, of the rows of tests; empty fields of *head* are absent."""
    rows = list(tests)
    counts = Counter(row["verdict"] for row in rows if "verdict" in row)
    return {
        "format": FORMAT,
        **{name: value for name, value in (head._asdict() if head else {}).items() if value},
        "environment": dict(environment),
        "seed": seed,
        "summary": dict(sorted(counts.items())),
        "tests": rows,
    }


def encode_report(report: Mapping[str, Any]) -> Iterator[str]:
    """*report* as strict JSON, in pieces: a line for each key, but a single line for each observation.

    10,000 steps of a loss take 1.3 MB and 10,000 lines; with a line for each key, 1.7 MB and 60,000.
    """
    tests = list(report["tests"])
    yield encode_head({key: value for key, value in report.items() if key != "tests"})
    for number, test in enumerate(tests):
        yield f"{',' if number else ''}\n  "
        yield from encode_test(test)
    yield encode_end(bool(tests))


def encode_head(head: Mapping[str, Any]) -> str:
    """The text of a report before its first test: of all other keys."""
    return _dump({**head, "tests": []}).rpartition("[]")[0] + "["


def encode_test(test: Mapping[str, Any]) -> Iterator[str]:
    """The text of one test, in pieces, from its brace on."""
    values = test.get("observations", ())
    text = "\n  ".join(
        _dump({key: value for key, value in test.items() if key != "observations"}).splitlines()
    )
    yield text[:-4] if values else text
    if values:
        yield ',\n   "observations": [\n    '
        yield ",\n    ".join(_dump(value, indent=None) for value in values)
        yield "\n   ]\n  }"


def encode_end(has_tests: bool) -> str:
    """The text of a report after its last test."""
    return "\n ]\n}\n" if has_tests else "]\n}\n"


def _dump(value: object, indent: int | None = 1) -> str:
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Writes *report* to *path*, and creates the folder if it does not exist.

    Raises:
        OSError: The file cannot be written; the old one, if any, is unchanged.
    """
    replace_file(path, encode_report(report))
