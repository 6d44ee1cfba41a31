"""What GitHub Actions shows: annotations at the user's lines, and a summary of the step in Markdown.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pytest_repro.core.checked_json import JsonNode
from pytest_repro.reports.failure.golden import HOW_TO_REPAIR, format_update_command
from pytest_repro.reports.failure.text import format_failure
from pytest_repro.reports.json.report import BadReport, refuse_inconsistent
from pytest_repro.reports.json.rows import verdict_from_row
from pytest_repro.reports.summary import (
    FAILING_VERDICTS,
    format_counts,
    format_failing_lines,
    format_foreign_lines,
    format_past_log_lines,
    format_unavailable_lines,
    label_verdict,
)

MAX_SUMMARY_BYTES = 1000 * 2**10
"""GitHub refuses a summary of more than 1024 KiB for one step, and then shows none of it."""

_MAX_ANNOTATIONS = 10
"""GitHub shows this many annotations of one kind for a step, and silently drops the others."""

_TITLES = {
    "diverged": "not reproducible", "failed": "not compared",
    "no-baseline": "no baseline", "foreign-baseline": "baseline of another environment only",
}  # fmt: skip


def format_annotations(rows: Iterable[Mapping[str, Any]], base: str) -> Iterator[str]:
    """A workflow command for each test that failed because it is not reproducible.

    *rows* are those of the JSON report, with ``headline`` and ``failed``; paths in them are relative to
    *base*, a folder seen from the root of the repository: ``""``, ``"sub"``.
    """
    failed = [row for row in rows if row.get("failed")]
    for row in failed[:_MAX_ANNOTATIONS]:
        # With a baseline, the runs agree.
        is_golden = row["verdict"] == "diverged" and "baseline" in row
        what = (
            "differs from its golden file" if is_golden else _TITLES.get(row["verdict"], label_verdict(row))
        )
        title = _escape_property(f"{what}: {row['nodeid'].partition('::')[2]}")
        line = _locate(row, base)
        location = f"file={_escape_property(line[0])},line={line[1]}," if line else ""
        message = _escape_data("\n".join(_format_message(row)))
        yield f"::error {location}title={title}::{message}"
    if (more := len(failed) - _MAX_ANNOTATIONS) > 0:
        where = "in the summary of this step and in the log"
        yield f"::notice title=pytest-repro::{more} more failing tests are {where}"


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _format_message(row: Mapping[str, Any]) -> Iterator[str]:
    yield _describe_difference(row)
    if cause := _format_cause(row):
        yield f"cause: {cause}"
    if fix := _suggest_fix(row):
        yield f"fix: {fix}"
    for further in row.get("causes", ())[1:]:
        yield f"cause: {_format_finding(further)}"
        yield f"fix: {further['fix']}"
    yield f"test: {row['nodeid']}"
    if replay := re.search(r"^  replay +(.*)", _format_terminal_failure(row, {}, 0), re.MULTILINE):
        yield f"replay: {replay[1]}"


def _describe_difference(row: Mapping[str, Any]) -> str:
    """What differs, or why another interpreter gave no result, in one line."""
    lost = (run["reason"] for run in row["runs"] if "reason" in run and run["outcome"] == "failed")
    return str(row.get("headline") or next(lost, ""))


def _suggest_fix(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "unobserved":
        return "record what must stay the same: def test_…(repro): repro.record(loss=loss)"
    baseline = row.get("baseline")
    if row["verdict"] not in FAILING_VERDICTS or not baseline:
        return str(row.get("cause", {}).get("fix", ""))
    options = baseline.get("options", "")
    command = format_update_command(row["nodeid"], f" {options}" if options else "")
    if "broken" in baseline:
        return f"{HOW_TO_REPAIR}: {command}"
    return f"to accept the values of this run, {command}" if row["verdict"] == "diverged" else command


def _format_cause(row: Mapping[str, Any]) -> str:
    return _format_finding(row["cause"]) if "cause" in row else ""


def _format_finding(cause: Mapping[str, Any]) -> str:
    at = f" at {cause['location']}" if "location" in cause else ""
    return f"{cause['name']}{at}: {cause['explanation']}"


def _locate(row: Mapping[str, Any], base: str) -> tuple[str, int] | None:
    """File and line of the divergence, else of the cause, else of the test.

    GitHub shows annotations only at files of the repository, so other files are skipped.
    """
    divergence = row.get("divergence", {})
    locations = [part.get("location") for part in (divergence, row.get("cause", {}), row)]
    for location in filter(None, (divergence.get("forward_location"), *locations)):
        path, _, number = location.replace("\\", "/").rpartition(":")
        path = posixpath.normpath(posixpath.join(base, path))
        # "C:/other.py" and "<string>:1" are not files of the repository either.
        if number.isdecimal() and not path.startswith(("/", "../", "<")) and ":" not in path:
            return path, int(number)
    return None


def format_summary(
    rows: Sequence[Mapping[str, Any]], environment: Mapping[str, str], seed: int, max_bytes: int
) -> str:
    """The summary of a step in Markdown: counts, a table of failures, their texts, the environment.

    *rows* have ``headline`` and ``failed``; of failures beyond *max_bytes* only the number is shown.
    """
    head = [f"### Reproducibility: {format_counts(rows)}", ""]
    lines = [*format_unavailable_lines(rows), *format_foreign_lines(rows), *format_past_log_lines(rows)]
    head += [f"{_escape_markdown(line)}  " for line in lines]
    fields = map(_format_table_line, environment.items())
    tail = _format_details("Environment", ["| | |", "|-|-|", f"| seed | {seed} |", *fields])
    failing = [row for row in rows if row.get("failed") or any(format_failing_lines([row]))]
    max_bytes -= _count_bytes([*head, *tail]) + 1000  # markup around the table and the texts
    table = list(_truncate([_format_row(row) for row in failing], max_bytes // 2, "| {} more | | | | |"))
    if table:
        head += ["", "| verdict | test | what | cause | fix |", "|-|-|-|-|-|", *table, ""]
    texts = filter(None, (_format_terminal_failure(row, environment, seed) for row in failing))
    blocks = [f"<pre>{html.escape(text)}</pre>" for text in texts]
    if shown := list(_truncate(blocks, max_bytes - _count_bytes(table), "… and {} more")):
        tail = [*_format_details("The failures in full", shown), *tail]
    return "\n".join([*head, *tail, ""])


def _count_bytes(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "backslashreplace")) + 1 for line in lines)


def _truncate(lines: Sequence[str], max_bytes: int, template: str) -> Iterator[str]:
    """As many of *lines* as fit into *max_bytes*, then the number of the others."""
    for number, line in enumerate(lines):
        max_bytes -= _count_bytes([line])
        if max_bytes < 0:
            yield template.format(len(lines) - number)
            return
        yield line


def _format_details(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _format_row(row: Mapping[str, Any]) -> str:
    texts = _describe_difference(row), _format_cause(row), _suggest_fix(row)
    return _format_table_line((row["verdict"], row["nodeid"], *texts))


def _format_table_line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(_escape_markdown(str(cell)) for cell in cells)} |"


def _format_terminal_failure(row: Mapping[str, Any], environment: Mapping[str, str], seed: int) -> str:
    """The failure text; ``""`` for a test that failed by itself."""
    if row["verdict"] not in FAILING_VERDICTS:
        return ""
    node = JsonNode(row, row["nodeid"])
    with suppress(BadReport), refuse_inconsistent(node):  # a third-party axis, whose values JSON cannot hold
        return format_failure(row["nodeid"], verdict_from_row(node, environment, seed))
    return ""


def _escape_markdown(text: str) -> str:
    """*text* as Markdown shows it literally: markup and ends of table cells as entities."""
    return re.sub(r"[^\w .,/=;?-]|_", lambda match: f"&#{ord(match[0])};" if match[0] >= " " else " ", text)
