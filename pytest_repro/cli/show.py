"""A JSON report as the terminal told it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pytest_repro.core.compare.compare import said
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.reports.failure.text import failure, headline, lost
from pytest_repro.reports.json.checked import DISJOINT, BadReport, Place, Report
from pytest_repro.reports.json.read import verdict_of
from pytest_repro.reports.session.summary import BAD, absent, beyond, counted, failing

_WIDTH = 80


class _Test(NamedTuple):
    """One test: its row with what the section needs, its failure text, and how it failed by itself."""

    row: Mapping[str, Any]
    text: str
    failed: str


def shown(report: Report) -> Iterator[str]:
    """The failures of *report* and its section, in lines.

    Raises:
        BadReport: A row does not fit; says where.
    """
    told = ", ".join(f"{name} {value}" for name, value in report.environment.items())
    yield f"{report.path}: seed {report.seed}{f', {told}' if told else ''}"
    tests = [_test(place, report) for place in report.tests]
    if any(test.text for test in tests):
        yield _ruled("FAILURES", "=")
    for test in tests:
        if test.text:
            yield _ruled(str(test.row["nodeid"]).partition("::")[2].replace("::", "."), "_")
            yield from test.text.splitlines()
    rows = [test.row for test in tests]
    yield _ruled("reproducibility", "=")
    yield counted(rows)
    yield from [*absent(rows), *beyond(rows), *failing(rows), *(test.failed for test in tests if test.failed)]


def _ruled(title: str, sep: str) -> str:
    return f" {title} ".center(_WIDTH, sep) if title else sep * _WIDTH


def _test(place: Place, report: Report) -> _Test:
    nodeid, verdict = place["nodeid"].text(), verdict_of(place, report.environment, report.seed)
    try:
        row = {**place.value, "headline": headline(verdict) if verdict.word in BAD else ""}
        return _Test(row, _text(nodeid, verdict, bool(row.get("expected"))), _failed(nodeid, verdict))
    except DISJOINT as error:
        raise BadReport(f"{place.where} does not hang together: {type(error).__name__}: {error}") from error


def _text(nodeid: str, verdict: Verdict, expected: bool) -> str:
    if verdict.word == "failed":
        return lost(nodeid, verdict)
    listed = expected or (verdict.word == "unobserved" and verdict.plan.audit)
    return failure(nodeid, verdict) if verdict.word in BAD and not listed else ""


def _failed(nodeid: str, verdict: Verdict) -> str:
    """What the terminal showed by pytest's own means: of that the report holds a line."""
    broke = verdict.word == "failed" and verdict.runs[0].outcome == "failed"
    return f"failed  {nodeid}  {said(verdict.runs[0])}" if broke else ""
