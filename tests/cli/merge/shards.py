"""Reports of shards, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.compare.verdict import Verdict, VerdictOutcome
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.json.report import ReportHead, build_report, write_report
from pytest_repro.reports.json.rows import verdict_to_row
from tests.cli.reports import RUNS

ENVIRONMENT = {"python": "CPython 3.11.4", "cpu capability": "AVX2"}
FAILED = tuple(Run("repeat", n, "failed", 0.5, error="ValueError: boom") for n in (0, 1))


def shard(
    folder: Path,
    number: int,
    *rows: dict[str, Any],
    total: int = 2,
    name: str = "",
    head: ReportHead | None = None,
    environment: dict[str, str] = ENVIRONMENT,
    seed: int = 0,
) -> str:
    """Writes the report of a shard that started *number* minutes after 8 and took 90 s; gives its path."""
    started = f"2026-01-31T08:{number:02d}:00Z"
    head = head or ReportHead("9001-1", f"{number}/{total}", "c0ffee", started, 90.0)
    path = folder / (name or f"shard-{number}.json")
    write_report(path, build_report(rows, seed, environment, head))
    return str(path)


def make_row(
    name: str, *values: StoredValue, word: VerdictOutcome = "reproduced", plan: Plan | None = None
) -> dict[str, Any]:
    """A row of ``test_a.py``."""
    runs = FAILED if word == "failed" else RUNS
    return verdict_to_row(f"test_a.py::{name}", Verdict(word, plan or Plan(), runs), values)


def read(path: Path) -> dict[str, Any]:
    """A merged report; its tests by name under ``"by_name"``."""
    report: dict[str, Any] = json.loads(path.read_text())
    report["by_name"] = {test["nodeid"].split("::")[1]: test for test in report["tests"]}
    return report
