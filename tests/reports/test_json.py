from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pytest_repro.core.difference import Difference
from pytest_repro.core.mismatch import Mismatch
from pytest_repro.core.plan import Plan
from pytest_repro.core.run import Run
from pytest_repro.core.verdict import Verdict
from pytest_repro.reports.json import content, row_of, write

RUNS = (Run("repeat", 0, "passed", 0.25, 1), Run("repeat", 1, "passed", 0.5, 1))


def test_a_row_holds_what_applies_and_nothing_else(tmp_path: Path) -> None:
    far = Difference(
        1, 4, 1, max_abs=math.inf, max_rel=0.5, max_ulp=3, first_index=(2,), first_values=("1.0", "inf")
    )
    found = Mismatch("x", "x", 0, "", "repeat", 1, "values", "float32[4]", "float32[4]", far)
    row = row_of("a.py::test_é", Verdict("diverged", Plan(), RUNS, (found,)))
    write(tmp_path / "deep" / "report.json", content([row, {"nodeid": "once"}], 3, {"torch": "2"}))
    text = (tmp_path / "deep" / "report.json").read_text(encoding="utf-8")
    assert "é" in text
    assert json.loads(text, parse_constant=pytest.fail) == {
        "format": 1,
        "environment": {"torch": "2"},
        "seed": 3,
        "summary": {"diverged": 1},
        "tests": [
            {
                "nodeid": "a.py::test_é",
                "verdict": "diverged",
                "seconds": 0.75,
                "runs": [
                    {"axis": "repeat", "value": 0, "outcome": "passed", "seconds": 0.25, "observations": 1},
                    {"axis": "repeat", "value": 1, "outcome": "passed", "seconds": 0.5, "observations": 1},
                ],
                "mismatches": [
                    {
                        "name": "x",
                        "axis": "repeat",
                        "value": 1,
                        "kind": "float32[4]",
                        "problem": "values",
                        "differing": 1,
                        "total": 4,
                        "max_rel": 0.5,
                        "max_ulp": 3,
                        "first_index": [2],
                        "first_values": ["1.0", "inf"],
                    }
                ],
            },
            {"nodeid": "once"},
        ],
    }
