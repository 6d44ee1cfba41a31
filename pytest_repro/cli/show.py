"""A JSON report as the terminal told it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.compare import describe_outcome
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports.failure.text import format_failure, format_headline, format_lost_runs
from pytest_repro.reports.json.report import INCONSISTENCY_ERRORS, BadReport, Report
from pytest_repro.reports.json.rows import verdict_from_row
from pytest_repro.reports.session.summary import (
    FAILING_VERDICTS,
    format_counts,
    format_failing_lines,
    format_past_log_lines,
    format_unavailable_lines,
)

_WIDTH = 80


class _Test(NamedTuple):
    """One test: its row with what the section needs, its failure text, and how it failed by itself."""

    row: Mapping[str, Any]
    failure_text: str
    failure_line: str


def format_report(report: Report) -> Iterator[str]:
    """The failures of *report* and its section, in lines.

    Raises:
        BadReport: A row does not fit; says where.
    """
    told = ", ".join(f"{name} {value}" for name, value in report.environment.items())
    yield f"{report.path}: seed {report.seed}{f', {told}' if told else ''}"
    tests = [_read_test(place, report) for place in report.tests]
    if any(test.failure_text for test in tests):
        yield _format_rule("FAILURES", "=")
    for test in tests:
        if test.failure_text:
            yield _format_rule(str(test.row["nodeid"]).partition("::")[2].replace("::", "."), "_")
            yield from test.failure_text.splitlines()
    rows = [test.row for test in tests]
    yield _format_rule("reproducibility", "=")
    yield format_counts(rows)
    yield from [
        *format_unavailable_lines(rows),
        *format_past_log_lines(rows),
        *format_failing_lines(rows),
        *(test.failure_line for test in tests if test.failure_line),
    ]


def _format_rule(title: str, sep: str) -> str:
    return f" {title} ".center(_WIDTH, sep) if title else sep * _WIDTH


def _read_test(place: JsonNode, report: Report) -> _Test:
    nodeid, verdict = place["nodeid"].as_text(), verdict_from_row(place, report.environment, report.seed)
    try:
        row = {
            **place.value,
            "headline": format_headline(verdict) if verdict.outcome in FAILING_VERDICTS else "",
        }
        return _Test(
            row,
            _format_failure(nodeid, verdict, bool(row.get("expected"))),
            _format_failure_line(nodeid, verdict),
        )
    except INCONSISTENCY_ERRORS as error:
        raise BadReport(
            f"{place.location} does not hang together: {type(error).__name__}: {error}"
        ) from error


def _format_failure(nodeid: str, verdict: Verdict, expected: bool) -> str:
    if verdict.outcome == "failed":
        return format_lost_runs(nodeid, verdict)
    listed = expected or (verdict.outcome == "unobserved" and verdict.plan.audit)
    return format_failure(nodeid, verdict) if verdict.outcome in FAILING_VERDICTS and not listed else ""


def _format_failure_line(nodeid: str, verdict: Verdict) -> str:
    """What the terminal showed by pytest's own means: of that the report holds a line."""
    broke = verdict.outcome == "failed" and verdict.runs[0].outcome == "failed"
    return f"failed  {nodeid}  {describe_outcome(verdict.runs[0])}" if broke else ""
