"""The SQLite file of a history: opened, checked, created.

Each report is added in one transaction that waits for others, so concurrent writers lose nothing. The
journal is SQLite's default one, not the write-ahead log: after each transaction the history is one file,
as a CI cache stores it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pytest_repro.reports.json.report import BadReport


class BadHistory(BadReport):
    """The file is not a history, cannot be opened, or has no such test or session."""


FORMAT = 1
"""Version of the tables."""

_APPLICATION_ID = 0x52455052  # ``REPR``, in the header of the file
_WAIT_SECONDS = 600.0

_TABLES = """
CREATE TABLE environment (id INTEGER PRIMARY KEY, fields TEXT NOT NULL UNIQUE);
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL,
    shard TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    started TEXT NOT NULL,
    started_at REAL,
    duration REAL NOT NULL,
    added_at REAL NOT NULL,
    environment_id INTEGER NOT NULL REFERENCES environment
);
CREATE TABLE test (id INTEGER PRIMARY KEY, nodeid TEXT NOT NULL UNIQUE);
CREATE TABLE result (
    session_id INTEGER NOT NULL REFERENCES session,
    test_id INTEGER NOT NULL REFERENCES test,
    number INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    cause TEXT NOT NULL,
    seed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    cost_deterministic REAL,
    cost_default REAL,
    PRIMARY KEY (test_id, session_id, number)
) WITHOUT ROWID;
CREATE TABLE value (
    id INTEGER PRIMARY KEY,
    test_id INTEGER NOT NULL REFERENCES test,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (test_id, number, name)
);
CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    value_id INTEGER NOT NULL REFERENCES value,
    identity TEXT NOT NULL,
    kind TEXT NOT NULL,
    measure REAL,
    detail TEXT NOT NULL,
    UNIQUE (value_id, identity)
);
CREATE TABLE observation (
    session_id INTEGER NOT NULL REFERENCES session,
    value_id INTEGER NOT NULL REFERENCES value,
    content_id INTEGER NOT NULL REFERENCES content,
    PRIMARY KEY (value_id, session_id)
) WITHOUT ROWID;
"""
# *measure* is a number, or the mean of an array; *number* counts tests with one node id. A content is stored
# once, however often it is observed.


@contextmanager
def open_history(path: str, create: bool = False) -> Iterator[sqlite3.Connection]:
    """The history at *path*; without *create* it must exist, and is only read.

    Raises:
        BadHistory: The file is not a history, is of a newer format, is damaged, or cannot be opened.
    """
    if not create and not Path(path).is_file():
        raise BadHistory(f"{path} does not exist; pytest-repro history add {path} REPORT.json creates it")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        with transaction(connection) if create else nullcontext():
            _check(connection, path, create)
        yield connection
    except sqlite3.Error as error:
        raise BadHistory(f"{path} is not a history of pytest-repro, or is damaged: {error}") from None
    finally:
        if connection is not None:
            connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that no other writer interrupts; an error undoes all of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _check(connection: sqlite3.Connection, path: str, create: bool) -> None:
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if create and not (application or version or tables):
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    elif application != _APPLICATION_ID:
        raise BadHistory(f"{path} is a database of another program, not a history of pytest-repro")
    elif version != FORMAT:
        why = f"and this pytest-repro reads format {FORMAT}"
        raise BadHistory(f"{path} is a history of format {version}, {why}: install another version")
