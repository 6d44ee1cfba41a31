from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.mismatch import Difference, Mismatch
from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.json.report import build_report, encode_report, write_report
from pytest_repro.reports.json.rows import verdict_from_row, verdict_to_row
from tests.cli.commands.test_show import HERE, VERDICTS

RUNS = (Run("repeat", 0, "passed", 0.25, 1), Run("repeat", 1, "passed", 0.5, 1))


def test_a_row_holds_what_applies_and_nothing_else(tmp_path: Path) -> None:
    far = Difference(
        1, 4, 1, max_abs=math.inf, max_rel=0.5, max_ulp=3, first_index=(2,), first_values=("1.0", "inf")
    )
    found = Mismatch("x", "x", 0, "", "repeat", 1, "values", "float32[4]", "float32[4]", far)
    row = verdict_to_row("a.py::test_é", Verdict("diverged", Plan(), RUNS, (found,)))
    write_report(
        tmp_path / "deep" / "report.json", build_report([row, {"nodeid": "once"}], 3, {"torch": "2"})
    )
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
                "plan": {"runs": 2, "seed": 0},
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


def test_an_observation_takes_one_line_and_the_whole_is_the_same_json() -> None:
    seen = [
        StoredValue("x", "float64[2]", "d" * 32, (1.5, math.nan)),
        StoredValue("z", "complex64[]", "e" * 32, (complex(-math.inf, 2),)),
        StoredValue(
            "w", "float32[99]", "f" * 32, statistics=Statistics(0.0, 2.0, 1.0, 0.5, 9.0, 3, ((0, "nan"),))
        ),
        StoredValue("name", "str", "a" * 32, text="\n é"),
    ]
    row = verdict_to_row("a.py::test_a", Verdict("reproduced", Plan(), RUNS), seen)
    for tests in ([], [row], [row, {"nodeid": "once"}, row]):
        report = build_report(tests, 0, {})
        text = "".join(encode_report(report))
        assert json.loads(text, parse_constant=pytest.fail) == report
        assert sum('"digest"' in line for line in text.splitlines()) == text.count('"digest"')
    assert row["observations"][0]["values"] == [1.5, "NaN"]
    assert row["observations"][1]["values"] == [["-Infinity", 2.0]]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_row_that_is_read_is_written_the_same(verdict: Verdict) -> None:
    row = json.loads(json.dumps(verdict_to_row("a.py::test_b", verdict)))
    again = verdict_from_row(JsonNode(row, "row"), HERE, 0)
    assert verdict_to_row("a.py::test_b", again) == row


def test_a_report_of_version_0_1_0_has_no_plan_and_one_cause() -> None:
    causes = Finding("clock", "a.py:3", "reads a clock"), Finding("os-entropy", "a.py:4", "draws")
    row = json.loads(json.dumps(verdict_to_row("a", Verdict("diverged", Plan(), RUNS, causes=causes))))
    assert row["cause"] == row["causes"][0]
    assert [cause["name"] for cause in row["causes"]] == ["clock", "os-entropy"]
    del row["plan"], row["causes"]
    old = verdict_from_row(JsonNode(row), {}, 7)
    assert (old.plan, old.causes, old.cause) == (Plan(2, 7), causes[:1], causes[0])
