"""``pytest-repro show``: prints a report as pytest did."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pytest_repro.cli.commands import Command, Result
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.mismatch import describe_outcome
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports import summary
from pytest_repro.reports.failure.text import format_failure, format_headline, format_lost_runs
from pytest_repro.reports.json.report import Report, read_report, refuse_inconsistent
from pytest_repro.reports.json.rows import verdict_from_row

_DESCRIPTION = "Prints the failures and the summary of a report as pytest showed them."

_EXAMPLES = """\
examples:
  pytest --repro-json=report.json
  pytest-repro show report.json
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("report", metavar="report.json", help="a report that --repro-json wrote")


def _run(options: Namespace) -> Result:
    return 0, format_report(read_report(options.report))


command = Command("print a report as pytest did", _DESCRIPTION, _EXAMPLES, _add_arguments, _run)


_WIDTH = 80


class _Test(NamedTuple):
    """A test: its row with ``headline``, its failure text, and its line if it failed by itself."""

    row: Mapping[str, Any]
    failure_text: str
    failure_line: str


def format_report(report: Report) -> Iterator[str]:
    """The failures of *report* and its section, in lines.

    Raises:
        BadReport: A row is malformed; says where.
    """
    fields = {"seed": report.seed, **report.environment}
    yield f"{report.path}: {', '.join(f'{name} {value}' for name, value in fields.items())}"
    tests = [_read_test(node, report) for node in report.tests]
    rows = [test.row for test in tests]
    failed = [test for test in tests if test.failure_text]
    if failed:
        yield " FAILURES ".center(_WIDTH, "=")
    for test in failed:
        name = str(test.row["nodeid"]).partition("::")[2].replace("::", ".")
        yield f" {name} ".center(_WIDTH, "_") if name else "_" * _WIDTH
        yield from test.failure_text.splitlines()
    yield " reproducibility ".center(_WIDTH, "=")
    yield summary.format_counts(rows)
    yield from summary.format_unavailable_lines(rows)
    yield from summary.format_foreign_lines(rows)
    yield from summary.format_past_log_lines(rows)
    yield from summary.format_diagnosis_lines(rows)
    yield from summary.format_not_compared_lines(rows, verbose=True)
    yield from summary.format_failing_lines(rows)
    yield from (test.failure_line for test in tests if test.failure_line)


def _read_test(node: JsonNode, report: Report) -> _Test:
    nodeid, verdict = node["nodeid"].as_text(), verdict_from_row(node, report.environment, report.seed)
    with refuse_inconsistent(node):
        headline = format_headline(verdict) if verdict.outcome in summary.FAILING_VERDICTS else ""
        row = {**node.value, "headline": headline}
        failure_text = _format_failure(nodeid, verdict, bool(row.get("expected")))
        # Of a failure that pytest itself showed, the report has no more than a line.
        failed = verdict.outcome == "failed" and verdict.runs[0].outcome == "failed"
        line = f"failed  {nodeid}  {describe_outcome(verdict.runs[0])}" if failed else ""
        return _Test(row, failure_text, line)


def _format_failure(nodeid: str, verdict: Verdict, expected: bool) -> str:
    if verdict.outcome == "failed":
        return format_lost_runs(nodeid, verdict)
    audited = verdict.outcome == "unobserved" and verdict.plan.audit and not verdict.is_partial
    shown = verdict.outcome in summary.FAILING_VERDICTS and not expected and not audited
    return format_failure(nodeid, verdict) if shown else ""
