"""Adds a report to a history."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_repro.cli.history.database import transaction
from pytest_repro.cli.merge.merged_test import find_part
from pytest_repro.cli.merge.shard_report import Part, ShardReport, get_label, read_shard_report
from pytest_repro.cli.reported import read_values
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.text import escape_surrogates, parse_time
from pytest_repro.reports.failure import plural
from pytest_repro.reports.json.stream import ReportStream

_DIGITS = 8  # digits of a digest that are shown


def add_report(connection: sqlite3.Connection, path: str) -> str:
    """Adds the report at *path*, all of it or nothing; returns what was done, in one line.

    A merged report has a session for each shard. One that is there already is not added again.

    Raises:
        BadReport: The file is not a report.
    """
    report = read_shard_report(path)
    with transaction(connection):
        adder = _Adder(connection, report)
        if not adder.session_ids:
            return f"{path} is in the history already: nothing was added"
        for test in ReportStream(path):
            adder.add(test.node)
        known = len(report.parts) - len(adder.session_ids)
        also = f"; {plural(known, 'shard')} of it were in the history already" if known else ""
        sessions = plural(len(adder.session_ids), "session")
        return f"{path}: added {sessions}, {plural(adder.test_count, 'test')}{also}"


class _Adder:
    """Adds the sessions of a report, then its tests."""

    def __init__(self, connection: sqlite3.Connection, report: ShardReport) -> None:
        self._connection, self._report = connection, report
        self.session_ids: dict[str, int] = {}  # by the label of the part
        self.test_count = 0
        self._counts: Counter[tuple[int, int]] = Counter()
        for part in report.parts:
            if (session := self._add_session(part)) is not None:
                self.session_ids[part.label] = session

    def _add_session(self, part: Part) -> int | None:
        """The id of a new session; None if it is there."""
        identity = f"{part.run_id} {part.shard} {part.started} {part.duration}"
        if not (part.run_id and part.started):  # a report of an older version
            identity = hashlib.blake2b(Path(self._report.path).read_bytes(), digest_size=16).hexdigest()
        fields = json.dumps(dict(part.environment), sort_keys=True)
        environment = self._find_or_add("environment", fields=fields)
        started = parse_time(part.started)
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO session VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                identity, part.run_id, part.shard, part.commit, part.started,
                started.timestamp() if started else None, part.duration, time.time(), environment,
            ),
        )  # fmt: skip
        return cursor.lastrowid if cursor.rowcount else None

    def add(self, row: JsonNode) -> None:
        """Adds a test; those of sessions that are there already are left out."""
        part = find_part(self._report, get_label(row, self._report.label))
        session = self.session_ids.get(part.label)
        if session is None:
            return
        self.test_count += 1
        test = self._find_or_add("test", nodeid=row["nodeid"].as_text())
        number = self._counts[session, test]
        self._counts[session, test] += 1
        self._connection.execute(
            "INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (session, test, number, *map(escape_surrogates, _read_result(row, part.seed))),
        )
        for name, identity, kind, measure, detail in _read_values(row):
            value = self._find_or_add("value", test_id=test, number=number, name=name)
            found = {"value_id": value, "identity": identity}
            content = self._find_or_add(
                "content", {"kind": kind, "measure": measure, "detail": detail}, **found
            )
            self._connection.execute("INSERT INTO observation VALUES (?, ?, ?)", (session, value, content))

    def _find_or_add(self, table: str, others: Mapping[str, object] = {}, **key: object) -> int:
        """The id of the row with *key*; a new one also gets *others*."""
        where = " AND ".join(f"{name} = ?" for name in key)
        columns = {name: escape_surrogates(value) for name, value in {**key, **others}.items()}
        found = self._connection.execute(
            f"SELECT id FROM {table} WHERE {where}", [columns[name] for name in key]
        ).fetchone()
        if found is not None:
            return int(found[0])
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        return int(self._connection.execute(statement, tuple(columns.values())).lastrowid or 0)


def _read_result(row: JsonNode, seed: int) -> tuple[object, ...]:
    verdict, plan, cost = row.get("verdict"), row.get("plan"), row.get("cost")
    causes = [cause["name"].as_text() for cause in row.get("causes") or ()]
    seconds, own_seed = row.get("seconds"), plan.get("seed") if plan is not None else None
    return (
        verdict.as_text() if verdict is not None else "",
        ", ".join(causes),
        own_seed.as_int() if own_seed is not None else seed,
        seconds.as_finite() if seconds is not None else 0.0,
        *(_read_cost(cost, name) for name in ("deterministic", "default")),
    )


def _read_cost(cost: JsonNode | None, name: str) -> float | None:
    found = cost.get(name) if cost is not None else None
    return found.as_finite() if found is not None else None


def _read_values(row: JsonNode) -> Iterator[tuple[str, str, str, float | None, str]]:
    """Name, identity, kind, measure and detail of each value."""
    nodes = tuple(row.get("observations") or ())
    for node, (name, value) in zip(nodes, read_values(nodes).items()):
        measure: Any = value.statistics.mean if value.statistics is not None else None
        if value.values is not None and len(value.values) == 1:
            measure = value.values[0]
        detail = {key: node.value[key] for key in ("values", "text", "statistics") if key in node.value}
        containers = " ".join(f"{name}={kind}" for name, kind in value.containers)
        yield (
            name,
            f"{value.kind} {value.digest} {containers}".rstrip(),
            value.kind,
            float(measure) if _is_plain(measure) else None,
            json.dumps({**detail, "digest": value.digest[:_DIGITS]}),
        )


def _is_plain(number: object) -> bool:
    if isinstance(number, int):
        return abs(number) < 2**1000
    return isinstance(number, float) and math.isfinite(number)
