"""The report of one shard, or of several that were merged: its head, and what its tests are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.verdict import VERDICT_OUTCOMES
from pytest_repro.core.text import escape_unprintable
from pytest_repro.reports.json.report import refuse_inconsistent
from pytest_repro.reports.json.report_head import is_random_run_id
from pytest_repro.reports.json.rows import verdict_from_row
from pytest_repro.reports.json.stream import ReportStream, StreamedTest

_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")
_ATTEMPT = re.compile(r"(\d+)-\d+")  # the run id of GitHub, with the number of the attempt


@dataclass(frozen=True, slots=True)
class Part:
    """One session: a report that was not merged."""

    path: str  # path of its report as it was given
    number: int  # which shard it is, from 1; 0 if it says none
    total: int  # number of shards; 0 if it says none
    run_id: str
    commit: str
    started: str
    duration: float
    environment: Mapping[str, str]
    seed: int
    test_count: int

    @property
    def label(self) -> str:
        """``3/100``; the path of its report without a number."""
        return self.shard or self.path

    @property
    def shard(self) -> str:
        """``3/100``; ``""`` without a number."""
        return f"{self.number}/{self.total}" if self.number else ""

    @property
    def run(self) -> str:
        """The run id without the number of an attempt, equal in all shards; ``""`` if unknown."""
        found = _ATTEMPT.fullmatch(self.run_id)
        return "" if is_random_run_id(self.run_id) else found[1] if found else self.run_id


@dataclass(slots=True)
class ShardReport:
    """A report to be merged."""

    path: str
    parts: tuple[Part, ...] = ()  # the sessions whose tests it has
    nodeid_hashes: set[int] = field(default_factory=set)  # of its tests, by :func:`hash`

    @property
    def label(self) -> str:
        """How a test calls the shard that it ran in; the path if the report is of several."""
        return self.parts[0].label if len(self.parts) == 1 else self.path


def read_shard_report(path: str) -> ShardReport:
    """Reads and checks the whole report at *path*, one test at a time.

    Raises:
        BadReport: The file cannot be read, is not a report, is cut off, or a test of it is malformed.
    """
    stream, report = ReportStream(path), ShardReport(path)
    counts: Counter[str] = Counter()
    total = 0
    for test in stream:
        report.nodeid_hashes.add(hash(check_test(test)))
        counts[get_label(test.node, "")] += 1
        total += 1
    head = stream.head
    if (merged := head.get("shards")) is None:
        report.parts = (_read_part(head, path, head, total),)
    else:
        report.parts = tuple(_read_part(each, path, head) for each in merged)
        if not report.parts:
            merged.refuse("is empty")
    return report


def check_test(test: StreamedTest) -> str:
    """The node id of a test whose row has what a merge needs; any row but of a reproduced test is decoded.

    Raises:
        BadReport: The row is malformed.
    """
    row = test.node
    nodeid, verdict = row["nodeid"].as_text(), row.get("verdict")
    if verdict is not None and verdict.as_text(*VERDICT_OUTCOMES) != "reproduced":
        decode_verdict(row, {}, 0)
    elif (seconds := row.get("seconds")) is not None:
        seconds.as_finite()
    for run in row["runs"]:
        run["axis"].as_text()
    vary = plan.get("vary") if (plan := row.get("plan")) is not None else None
    for _, values in vary.items() if vary is not None else ():
        list(values)
    if (failure := row.get("failure")) is not None:
        failure.as_text()
    if (sweep := row.get("sweep")) is not None:
        sweep["kept"].as_bool()
    return nodeid


def decode_verdict(row: JsonNode, environment: Mapping[str, str], seed: int) -> Any:
    """The verdict of a row; raises :class:`BadReport` if the row is malformed, or contradicts itself."""
    with refuse_inconsistent(row):
        return verdict_from_row(row, environment, seed)


def get_label(row: JsonNode, default: str) -> str:
    """The shard in which a test ran: what its row says after a merge, or *default*."""
    if (shard := row.get("shard")) is not None:
        return shard.as_text()
    shards = row.get("shards")
    return next((each.as_text() for each in shards), default) if shards is not None else default


def _read_part(node: JsonNode, path: str, report: JsonNode, count: int | None = None) -> Part:
    """A part of the report with the keys *report*; *node* is *report* itself if it was not merged."""

    def read_text(key: str) -> str:
        found = node.get(key) or report.get(key)
        return escape_unprintable(found.as_text()) if found is not None else ""

    number, total = _read_shard(node.get("shard"))
    environment = node.get("environment") or report["environment"]
    return Part(
        given.as_text() if (given := node.get("report")) is not None else path,
        number,
        total,
        read_text("run_id"),
        read_text("commit"),
        read_text("started"),
        duration.as_finite() if (duration := node.get("duration")) is not None else 0.0,
        environment.as_str_mapping(),
        (node.get("seed") or report["seed"]).as_int(),
        node["tests"].as_int() if count is None else count,
    )


def _read_shard(node: JsonNode | None) -> tuple[int, int]:
    if node is None:
        return 0, 0
    found = _SHARD.fullmatch(node.as_text())
    number, total = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= total:
        node.refuse(f"is {node.as_text()!r}, not a number of a shard and the number of shards: '3/8'")
    return number, total
