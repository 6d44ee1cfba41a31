"""The files beside the merged report: JUnit XML, CTRF and the page."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.cli.merge import page
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.json.rows import verdict_to_row
from tests.cli.merge.shards import make_row, shard
from tests.cli.reports import number, run

SUITE = ["id", "package", "name", "timestamp", "hostname", "tests", "failures", "errors", "skipped", "time"]
"""Attributes of a testsuite: those that Ant's schema requires, and ``skipped``, which it allows."""
CTRF_KEYS: dict[str, set[str]] = {
    "": {"reportFormat", "specVersion", "reportId", "runId", "timestamp", "generatedBy", "extra", "results"},
    "results": {"tool", "summary", "tests", "environment", "extra"},
    "tool": {"name", "version", "extra"},
    "summary": {"tests", "passed", "failed", "skipped", "pending", "other", "start", "stop"},
    "tests": {"name", "status", "duration", "message", "trace", "rawStatus", "filePath", "extra"},
    "environment": {"buildId", "commit", "extra"},
}
"""Keys of the schema of CTRF (ctrf-schema-0.0.json of npm's ``ctrf`` 0.3) that are written; it allows few
others, and validates this report."""


@pytest.fixture
def outputs(tmp_path: Path, capsys: Any) -> dict[str, str]:
    """The text of each file, of two good shards and one that is cut off."""
    skipped = Run("repeat", 0, "skipped", error="no GPU")
    expected = make_row("expected", word="failed") | {"expected": True}
    nodeid = "tests/sub/test_b.py::TestB::test_b[a::b-\x1b<&\"'\ud800]"
    a = shard(
        tmp_path, 1, make_row("good", number("x", 1.0)), make_row("both", number("x", 1.0)),
        make_row("bad", word="failed"), expected, total=3,
    )  # fmt: skip
    b = shard(
        tmp_path, 2, make_row("both", number("x", 2.0)),
        verdict_to_row("test_a.py::skipped", Verdict("skipped", Plan(), (skipped,))),
        json.loads(json.dumps(make_row("odd", word="unobserved") | {"nodeid": nodeid})), total=3,
    )  # fmt: skip
    (tmp_path / "shard-3.json").write_text(Path(a).read_text()[:-60])
    out = {name: f"--{name}={tmp_path}/{name}" for name in ("html", "junit", "ctrf")}
    assert run(capsys, "merge", a, b, f"{tmp_path}/shard-3.json", *out.values())[0] == 1
    return {name: (tmp_path / name).read_text() for name in out}


def test_junit(outputs: dict[str, str]) -> None:
    """As the schemas of Ant and of Jenkins allow: these attributes, and in this order these elements."""
    suites = ET.fromstring(outputs["junit"])
    (suite,) = suites
    assert (suites.tag, suites.attrib, suite.tag, list(suite.attrib)) == (
        "testsuites",
        {},
        "testsuite",
        SUITE,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    counts = {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "8", "failures": "3", "errors": "2", "skipped": "2"}
    order = re.sub(r"(testcase )+", "testcases ", "".join(f"{each.tag} " for each in suite))
    assert order == "properties testcases system-out system-err "
    assert {each.tag: sorted(each.attrib) for each in suite[0]} == {"property": ["name", "value"]}
    for case in suite.iter("testcase"):
        assert sorted(case.attrib) == ["classname", "name", "time"]
        assert re.fullmatch(r"\d+(\.\d+)?", case.attrib["time"])
        assert [(each.tag, sorted(each.attrib)) for each in case] in [
            [], *([(tag, ["message", "type"])] for tag in ("failure", "error", "skipped")),
        ]  # fmt: skip
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    both = cases["both"][0]
    assert (both.tag, both.attrib["type"]) == ("failure", "diverged")
    assert both.attrib["message"] == "x differs between shards 1/3 and 2/3, max abs 1"
    assert "1.0 in shard 1/3, 2.0 in shard 2/3" in (both.text or "")
    assert cases["skipped"][0].attrib == {"message": "no GPU", "type": "skip"}
    assert cases["expected"][0].attrib["type"] == "xfail"
    odd = cases["test_b[a::b-\\x1b<&\"'\\ud800]"]
    assert (odd.attrib["classname"], odd[0].tag) == ("tests.sub.test_b.TestB", "failure")
    assert "missing shard: shard 3 of 3" in cases


def test_ctrf(outputs: dict[str, str]) -> None:
    report = json.loads(outputs["ctrf"])
    assert report["reportFormat"] == "CTRF"
    assert re.fullmatch(r"\d+\.\d+\.\d+", report["specVersion"])
    assert report["runId"] == "9001"
    results = report["results"]
    for name, part in {"": report, "results": results, **results}.items():
        for each in part if name == "tests" else [part]:
            assert name == "extra" or set(each) <= CTRF_KEYS[name], name
    assert datetime.fromisoformat(report["timestamp"]).tzinfo is not None
    summary = {**results["summary"]}
    assert summary.pop("stop") - summary.pop("start") == 150_000
    assert summary == {"tests": 8, "passed": 1, "failed": 5, "skipped": 1, "pending": 0, "other": 1}
    tests = {test["name"]: test for test in results["tests"]}
    assert len(tests) == 8
    assert tests["pytest-repro merge: missing shard"]["message"] == "shard 3 of 3"
    assert all(isinstance(test["duration"], int) and test["name"] for test in tests.values())
    both = tests["test_a.py::both"]
    assert (both["status"], both["rawStatus"], both["extra"]) == (
        "failed",
        "diverged",
        {"shards": ["1/3", "2/3"]},
    )
    assert "1.0 in shard 1/3, 2.0 in shard 2/3" in both["trace"]
    assert tests["test_a.py::bad"]["message"] == "ValueError: boom"
    assert tests["test_a.py::bad"]["extra"] == {"shard": "1/3"}


def test_the_page_of_few_tests_lists_all(outputs: dict[str, str]) -> None:
    text = outputs["html"]
    assert text.count('<tr class="w') == 6
    assert "x differs between shards 1/3 and 2/3" in text
    assert "1.0 in shard 1/3, 2.0 in shard 2/3" in text
    assert "missing: shard 3 of 3" in text
    assert "<h1>1 of 6 tests is not reproducible. 2 problems with shards.</h1>" in text
    assert "counted here" not in text


def test_the_page_of_many_tests_counts_those_that_reproduced(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_MAX_REPRODUCED", 3)
    monkeypatch.setattr(page, "_MAX_TESTS", 2)
    rows = [make_row(f"good{n}", number("x", 1.0)) for n in range(5)]
    rows += [make_row(f"bad{n}", word="failed") for n in range(4)]
    path = shard(tmp_path, 1, *rows, total=1)
    out = tmp_path / "all.html"
    assert run(capsys, "merge", path, f"--html={out}")[0] == 1
    text = out.read_text()
    assert [name for name in re.findall(r"(?:good|bad)\d", text) if name.startswith("good")] == []
    assert text.count('<tr class="w') == 2
    assert "5 reproduced, 2 failed: counted here, and listed in the JSON report only." in text
    assert "<b>9</b> all" in text
    assert re.search(r"<b>4</b> <span [^>]*>×</span> failed", text)
