"""What GitHub Actions shows: annotations at the user's lines, and a summary of the step in Markdown.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.core.checked_json import JsonNode
from pytest_repro.reports.failure.golden import format_update_command
from pytest_repro.reports.failure.text import format_failure
from pytest_repro.reports.json.report import INCONSISTENCY_ERRORS, BadReport
from pytest_repro.reports.json.rows import verdict_from_row
from pytest_repro.reports.session.summary import (
    FAILING_VERDICTS,
    format_counts,
    format_failing_lines,
    format_past_log_lines,
    format_unavailable_lines,
)

MAX_SUMMARY_BYTES = 1000 * 2**10
"""Bytes of a summary. GitHub refuses more than 1024 KiB for one step, and then shows none of it."""

_MAX_ANNOTATIONS = 10
"""Annotations of one kind that GitHub shows for a step; it drops the others without a word."""

_TITLES = {
    "diverged": "not reproducible", "unobserved": "observed nothing", "failed": "not compared",
    "no-baseline": "no baseline", "foreign-baseline": "baseline of another environment only",
}  # fmt: skip


def format_annotations(rows: Iterable[Mapping[str, Any]], base: str) -> Iterator[str]:
    """A workflow command for each test that failed since it is not reproducible.

    Args:
        rows: Of the JSON report, with ``headline`` and ``failed``.
        base: From the folder of the repository to the one that paths are relative to: ``""``, ``"sub"``.
    """
    bad = [row for row in rows if row.get("failed")]
    for row in bad[:_MAX_ANNOTATIONS]:
        title = f"{_format_title(row)}: {row['nodeid'].partition('::')[2]}"
        at = _locate(row, base)
        where = f"file={_escape_property(at[0])},line={at[1]}," if at else ""
        yield f"::error {where}title={_escape_property(title)}::{_escape_data(chr(10).join(_format_message(row)))}"
    if len(bad) > _MAX_ANNOTATIONS:
        more = f"{len(bad) - _MAX_ANNOTATIONS} more failing tests are in the summary of this step, and in the log"
        yield f"::notice title=pytest-repro::{more}"


def _format_title(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "diverged" and "baseline" in row:  # the runs agree
        return "differs from its golden file"
    return _TITLES.get(row["verdict"], str(row["verdict"]))


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _format_message(row: Mapping[str, Any]) -> Iterator[str]:
    yield _describe_difference(row)
    cause = row.get("cause", {})
    if cause:
        yield f"cause: {_format_cause(cause)}"
    if fix := _suggest_fix(row):
        yield f"fix: {fix}"
    yield f"test: {row['nodeid']}"
    if replay := re.search(r"^  replay +(.*)", _format_terminal_failure(row, {}, 0), re.MULTILINE):
        yield f"replay: {replay[1]}"


def _describe_difference(row: Mapping[str, Any]) -> str:
    """What differs, in a few words; of a run elsewhere that gave no answer, why."""
    lost = (run["reason"] for run in row["runs"] if "reason" in run and run["outcome"] == "failed")
    return str(row.get("headline") or next(lost, ""))


def _suggest_fix(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "unobserved":
        return "record what must stay the same: def test_…(repro): repro.record(loss=loss)"
    if row["verdict"] in FAILING_VERDICTS and (stored := row.get("baseline")):
        return _suggest_golden_fix(row, stored)
    return str(row.get("cause", {}).get("fix", ""))


def _suggest_golden_fix(row: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    options = baseline.get("options", "")
    how = format_update_command(row["nodeid"], f" {options}" if options else "")
    if "broken" in baseline:
        return f"restore the file from version control; or delete it, and write it anew: {how}"
    return f"where it is right as it is here, {how}" if row["verdict"] == "diverged" else how


def _format_cause(cause: Mapping[str, Any]) -> str:
    at = f" at {cause['location']}" if "location" in cause else ""
    return f"{cause['name']}{at}: {cause['explanation']}"


def _locate(row: Mapping[str, Any], base: str) -> tuple[str, int] | None:
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


def format_summary(
    rows: Sequence[Mapping[str, Any]], environment: Mapping[str, str], seed: int, max_bytes: int
) -> str:
    """The summary of a step in Markdown: counts, a table of what failed, its texts, the environment.

    Args:
        rows: Of the JSON report, with ``headline`` and ``failed``.
        environment: What could change a result, by name.
        seed: Of the session.
        max_bytes: Bytes that it may take; what is beyond is counted, not told.
    """
    head = [f"### Reproducibility: {format_counts(rows)}", ""]
    head += [
        f"{_escape_markdown(line)}  "
        for line in [*format_unavailable_lines(rows), *format_past_log_lines(rows)]
    ]
    fields = (
        f"| {_escape_markdown(name)} | {_escape_markdown(value)} |" for name, value in environment.items()
    )
    tail = _format_details("Environment", ["| | |", "|-|-|", f"| seed | {seed} |", *fields])
    bad = [row for row in rows if row.get("failed") or any(format_failing_lines([row]))]
    max_bytes -= _count_bytes([*head, *tail]) + 1000  # what stands around the table and the texts
    table = list(_truncate([_format_table_row(row) for row in bad], max_bytes // 2, "| {} more | | | | |"))
    if table:
        head += ["", "| verdict | test | what | cause | fix |", "|-|-|-|-|-|", *table, ""]
    texts = [
        f"<pre>{html.escape(text)}</pre>"
        for row in bad
        if (text := _format_terminal_failure(row, environment, seed))
    ]
    told = list(_truncate(texts, max_bytes - _count_bytes(table), "… and {} more"))
    if told:
        tail = [*_format_details("The failures in full", told), *tail]
    return "\n".join([*head, *tail, ""])


def _count_bytes(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "backslashreplace")) + 1 for line in lines)


def _truncate(lines: Sequence[str], max_bytes: int, template: str) -> Iterator[str]:
    """As many of *lines* as *max_bytes* bytes hold, and how many were left out."""
    for number, line in enumerate(lines):
        max_bytes -= _count_bytes([line])
        if max_bytes < 0:
            yield template.format(len(lines) - number)
            return
        yield line


def _format_details(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _format_table_row(row: Mapping[str, Any]) -> str:
    cause = row.get("cause", {})
    cells = (
        row["verdict"],
        row["nodeid"],
        _describe_difference(row),
        _format_cause(cause) if cause else "",
        _suggest_fix(row),
    )
    return f"| {' | '.join(_escape_markdown(str(each)) for each in cells)} |"


def _format_terminal_failure(row: Mapping[str, Any], environment: Mapping[str, str], seed: int) -> str:
    """The terminal's text of a failure; ``""`` for a test that failed in another way."""
    if row["verdict"] not in FAILING_VERDICTS:
        return ""
    try:
        return format_failure(
            row["nodeid"], verdict_from_row(JsonNode(row, row["nodeid"]), environment, seed)
        )
    except (
        BadReport,
        *INCONSISTENCY_ERRORS,
    ):  # of an axis of another distribution, whose values JSON does not know
        return ""


def _escape_markdown(text: str) -> str:
    """*text* as Markdown shows it literally: what would be markup, or end a table's cell, as entities."""
    return re.sub(r"[^\w .,/=;?-]|_", lambda found: f"&#{ord(found[0])};" if found[0] >= " " else " ", text)
