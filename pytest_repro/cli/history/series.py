"""The values of a history, each as a series over sessions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, NamedTuple

Order = Literal["started", "added"]


@dataclass(frozen=True, slots=True)
class Session:
    """A session of the history."""

    ident: int
    run_id: str
    shard: str
    commit: str
    started: str
    started_at: float | None
    added_at: float
    duration: float
    fields: Mapping[str, str]  # the environment, and ``commit``: what may have changed a value

    @property
    def time(self) -> float:
        """When it started, in seconds since 1970; when it was added, if it does not say."""
        return self.added_at if self.started_at is None else self.started_at

    @property
    def name(self) -> str:
        """``commit c0ffee (2026-01-31 08:00)``, as far as it is known."""
        when = self.started[:16].replace("T", " ")
        run = f"run {self.run_id}" if self.run_id else ""
        what = f"commit {shorten_commit(self.commit)}" if self.commit else run
        return f"{what} ({when})" if what and when else what or when or f"session {self.ident}"


class Content(NamedTuple):
    """What was observed: equal if *ident* is."""

    ident: int
    kind: str
    measure: float | None  # a number, or the mean of an array
    detail: str  # JSON with ``values``, ``text`` or ``statistics``, and ``digest``


class Point(NamedTuple):
    """A value in one session."""

    session: Session
    content: Content
    seed: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Series:
    """A value in all sessions that observed it, in their order."""

    nodeid: str
    name: str
    points: Sequence[Point]


class Result(NamedTuple):
    """A test in one session; the costs are seconds of its body, or None if they were not measured."""

    session: Session
    verdict: str
    seconds: float
    cost_deterministic: float | None
    cost_default: float | None

    @property
    def cost_ratio(self) -> float | None:
        """``cost_deterministic / cost_default``."""
        if self.cost_deterministic is None or not self.cost_default:
            return None
        return self.cost_deterministic / self.cost_default


def shorten_commit(commit: str) -> str:
    """The first 10 digits, and whether files differed from it."""
    digits, dash, dirty = commit.partition("-")
    return f"{digits[:10]}{dash}{dirty}"


def read_sessions(connection: sqlite3.Connection, order: Order) -> list[Session]:
    """All sessions, in the order of their start or in which they were added.

    A session that does not say when it started counts as started when it was added.
    """
    rows = connection.execute(
        "SELECT session.id, run_id, shard, commit_id, started, started_at, added_at, duration, fields"
        " FROM session JOIN environment ON environment.id = environment_id ORDER BY session.id"
    )
    sessions = []
    for row in rows:
        session = Session(*row[:8], *map(json.loads, row[8:]))
        commit = {"commit": session.commit} if session.commit else {}
        sessions.append(replace(session, fields={**session.fields, **commit}))
    return sorted(sessions, key=lambda each: (each.time, each.ident)) if order == "started" else sessions


def read_series(
    connection: sqlite3.Connection, sessions: Sequence[Session], nodeid: str = ""
) -> Iterator[Series]:
    """The values of all tests, or of one, in the order in which they were first added."""
    ranks = {session.ident: rank for rank, session in enumerate(sessions)}
    rows = connection.execute(
        "SELECT value.id, nodeid, value.number, name, observation.session_id, content.id, kind, measure,"
        " detail, seed, verdict FROM observation JOIN value ON value.id = observation.value_id"
        " JOIN test ON test.id = value.test_id JOIN content ON content.id = content_id"
        " JOIN result ON result.test_id = value.test_id"
        " AND result.session_id = observation.session_id AND result.number = value.number"
        " WHERE ? IN ('', nodeid) ORDER BY value.id",
        (nodeid,),
    )
    for (_, found, number, name), group in groupby(rows, key=lambda row: row[:4]):
        found_points = sorted((ranks[row[4]], row) for row in group)
        points = [Point(sessions[rank], Content(*row[5:9]), *row[9:]) for rank, row in found_points]
        yield Series(f"{found} (repeat {number})" if number else found, name, points)


def read_results(
    connection: sqlite3.Connection, sessions: Sequence[Session], nodeid: str = ""
) -> Iterator[tuple[str, list[Result]]]:
    """The results of all tests, or of one, in the order of the sessions."""
    ranks = {session.ident: rank for rank, session in enumerate(sessions)}
    rows = connection.execute(
        "SELECT nodeid, session_id, verdict, seconds, cost_deterministic, cost_default FROM result"
        " JOIN test ON test.id = test_id WHERE ? IN ('', nodeid) ORDER BY test_id",
        (nodeid,),
    )
    for found, group in groupby(rows, key=lambda row: row[0]):
        results = sorted((ranks[row[1]], row[2:]) for row in group)
        yield found, [Result(sessions[rank], *row) for rank, row in results]
