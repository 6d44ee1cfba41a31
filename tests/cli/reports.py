"""Reports to compare and to show, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_repro.cli import main
from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.compare.verdict import Verdict, VerdictOutcome
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.json.report import build_report, write_report
from pytest_repro.reports.json.rows import verdict_to_row

ENVIRONMENT = {"python": "CPython 3.11.4", "cpu capability": "AVX2"}
RUNS = (Run("repeat", 0, "passed", 0.25, 1), Run("repeat", 1, "passed", 0.5, 1))


def row(
    *accounts: StoredValue,
    nodeid: str = "test_a.py::test_a",
    word: VerdictOutcome = "reproduced",
    seed: int = 0,
) -> dict[str, Any]:
    """A row with what *accounts* tell."""
    return verdict_to_row(nodeid, Verdict(word, Plan(seed=seed), RUNS), accounts)


def number(name: str, value: float, kind: str = "float64[]") -> StoredValue:
    """An account of one number."""
    return StoredValue(name, kind, f"{value!r:>32}", (value,))


def report(
    path: Path, *rows: dict[str, Any], environment: dict[str, str] = ENVIRONMENT, seed: int = 0
) -> str:
    """Writes a report, and gives its path."""
    write_report(path, build_report(rows, seed, environment))
    return str(path)


def run(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = int(str(error.code))
    out, err = capsys.readouterr()
    return code, out, err


def written(path: Path, value: object) -> str:
    """Writes *value* as JSON."""
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)
