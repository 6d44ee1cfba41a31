"""What GitHub Actions shows: annotations at the user's lines, and a summary of the step in Markdown.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.reports.failure.golden import command
from pytest_repro.reports.failure.text import failure
from pytest_repro.reports.json.checked import DISJOINT, BadReport, Place
from pytest_repro.reports.json.read import verdict_of
from pytest_repro.reports.session.summary import BAD, absent, beyond, counted, failing

LARGEST = 1000 * 2**10
"""Bytes of a summary. GitHub refuses more than 1024 KiB for one step, and then shows none of it."""

_SHOWN = 10
"""Annotations of one kind that GitHub shows for a step; it drops the others without a word."""

_TITLES = {
    "diverged": "not reproducible", "unobserved": "observed nothing", "failed": "not compared",
    "no-baseline": "no baseline", "foreign-baseline": "baseline of another environment only",
}  # fmt: skip


def commands(rows: Iterable[Mapping[str, Any]], base: str) -> Iterator[str]:
    """A workflow command for each test that failed since it is not reproducible.

    Args:
        rows: Of the JSON report, with ``headline`` and ``failed``.
        base: From the folder of the repository to the one that paths are relative to: ``""``, ``"sub"``.
    """
    bad = [row for row in rows if row.get("failed")]
    for row in bad[:_SHOWN]:
        title = f"{_title(row)}: {row['nodeid'].partition('::')[2]}"
        at = _place(row, base)
        where = f"file={_property(at[0])},line={at[1]}," if at else ""
        yield f"::error {where}title={_property(title)}::{_data(chr(10).join(_message(row)))}"
    if len(bad) > _SHOWN:
        more = f"{len(bad) - _SHOWN} more failing tests are in the summary of this step, and in the log"
        yield f"::notice title=pytest-repro::{more}"


def _title(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "diverged" and "baseline" in row:  # the runs agree
        return "differs from its golden file"
    return _TITLES.get(row["verdict"], str(row["verdict"]))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _message(row: Mapping[str, Any]) -> Iterator[str]:
    yield _what(row)
    cause = row.get("cause", {})
    if cause:
        yield f"cause: {_cause(cause)}"
    if fix := _fix(row):
        yield f"fix: {fix}"
    yield f"test: {row['nodeid']}"
    if replay := re.search(r"^  replay +(.*)", _failure(row, {}, 0), re.MULTILINE):
        yield f"replay: {replay[1]}"


def _what(row: Mapping[str, Any]) -> str:
    """What differs, in a few words; of a run elsewhere that gave no answer, why."""
    lost = (run["reason"] for run in row["runs"] if "reason" in run and run["outcome"] == "failed")
    return str(row.get("headline") or next(lost, ""))


def _fix(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "unobserved":
        return "record what must stay the same: def test_…(repro): repro.record(loss=loss)"
    if row["verdict"] in BAD and (stored := row.get("baseline")):
        return _golden_fix(row, stored)
    return str(row.get("cause", {}).get("fix", ""))


def _golden_fix(row: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    options = stored.get("options", "")
    how = command(row["nodeid"], f" {options}" if options else "")
    if "broken" in stored:
        return f"restore the file from version control; or delete it, and write it anew: {how}"
    return f"where it is right as it is here, {how}" if row["verdict"] == "diverged" else how


def _cause(cause: Mapping[str, Any]) -> str:
    at = f" at {cause['location']}" if "location" in cause else ""
    return f"{cause['name']}{at}: {cause['explanation']}"


def _place(row: Mapping[str, Any], base: str) -> tuple[str, int] | None:
    """The line to look at: where the runs parted, else where the cause sits, else the test.

    GitHub shows an annotation at files of the repository alone: lines elsewhere are passed over.
    """
    found, cause = row.get("divergence", {}), row.get("cause", {})
    lines = found.get("forward_location"), found.get("location"), cause.get("location"), row.get("location")
    for line in filter(None, lines):
        path, _, number = line.replace("\\", "/").rpartition(":")
        path = posixpath.normpath(posixpath.join(base, path))
        # "C:/other.py" and "<string>:1" are no files of the repository either.
        if number.isdecimal() and not path.startswith(("/", "../", "<")) and ":" not in path:
            return path, int(number)
    return None


def summary(rows: Sequence[Mapping[str, Any]], environment: Mapping[str, str], seed: int, room: int) -> str:
    """The summary of a step in Markdown: counts, a table of what failed, its texts, the environment.

    Args:
        rows: Of the JSON report, with ``headline`` and ``failed``.
        environment: What could change a result, by name.
        seed: Of the session.
        room: Bytes that it may take; what is beyond is counted, not told.
    """
    head = [f"### Reproducibility: {counted(rows)}", ""]
    head += [f"{_text(line)}  " for line in [*absent(rows), *beyond(rows)]]
    fields = (f"| {_text(name)} | {_text(value)} |" for name, value in environment.items())
    tail = _folded("Environment", ["| | |", "|-|-|", f"| seed | {seed} |", *fields])
    bad = [row for row in rows if row.get("failed") or any(failing([row]))]
    room -= _bytes([*head, *tail]) + 1000  # what stands around the table and the texts
    table = list(_within([_table_row(row) for row in bad], room // 2, "| {} more | | | | |"))
    if table:
        head += ["", "| verdict | test | what | cause | fix |", "|-|-|-|-|-|", *table, ""]
    texts = [f"<pre>{html.escape(text)}</pre>" for row in bad if (text := _failure(row, environment, seed))]
    told = list(_within(texts, room - _bytes(table), "… and {} more"))
    if told:
        tail = [*_folded("The failures in full", told), *tail]
    return "\n".join([*head, *tail, ""])


def _bytes(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "backslashreplace")) + 1 for line in lines)


def _within(lines: Sequence[str], room: int, more: str) -> Iterator[str]:
    """As many of *lines* as *room* bytes hold, and how many were left out."""
    for number, line in enumerate(lines):
        room -= _bytes([line])
        if room < 0:
            yield more.format(len(lines) - number)
            return
        yield line


def _folded(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _table_row(row: Mapping[str, Any]) -> str:
    cause = row.get("cause", {})
    cells = row["verdict"], row["nodeid"], _what(row), _cause(cause) if cause else "", _fix(row)
    return f"| {' | '.join(_text(str(each)) for each in cells)} |"


def _failure(row: Mapping[str, Any], environment: Mapping[str, str], seed: int) -> str:
    """The terminal's text of a failure; ``""`` for a test that failed in another way."""
    if row["verdict"] not in BAD:
        return ""
    try:
        return failure(row["nodeid"], verdict_of(Place(row, row["nodeid"]), environment, seed))
    except (BadReport, *DISJOINT):  # of an axis of another distribution, whose values JSON does not know
        return ""


def _text(text: str) -> str:
    """*text* as Markdown shows it literally: what would be markup, or end a table's cell, as entities."""
    return re.sub(r"[^\w .,/=;?-]|_", lambda found: f"&#{ord(found[0])};" if found[0] >= " " else " ", text)
