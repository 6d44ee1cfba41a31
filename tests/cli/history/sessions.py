"""Histories of sessions, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.reports.json.report import ReportHead
from tests.cli.merge.shards import make_row, shard
from tests.cli.reports import number, run

Values = dict[str, float]


def write_session(
    folder: Path,
    day: int,
    values: Values,
    commit: str = "",
    environment: dict[str, str] | None = None,
    started: str = "",
    extra: dict[str, Any] | None = None,
    more: Sequence[StoredValue] = (),
) -> str:
    """Writes the report of a session of one day, with one test; gives its path."""
    head = ReportHead(
        f"run-{day}", "", commit or f"c{day:03d}", started or f"2026-01-{day:02d}T08:00:00Z", 90.0
    )
    row = make_row("a", *(number(name, value) for name, value in values.items()), *more)
    environ = {"python": "3.11", **(environment or {})}
    return shard(folder, 1, row | (extra or {}), name=f"day-{day}.json", head=head, environment=environ)


def add(capsys: Any, folder: Path, *paths: str) -> Path:
    """Adds reports to a history; gives its path."""
    history = folder / "repro.sqlite"
    code, out, err = run(capsys, "history", "add", str(history), *paths)
    assert code == 0, out + err
    return history


def show(capsys: Any, history: Path, *arguments: str) -> list[str]:
    """The lines of ``history show``."""
    code, out, err = run(capsys, "history", "show", str(history), *arguments)
    assert code == 0, out + err
    return out.splitlines()
