"""pytest-json-report: one entry per test, with the output of one run."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import Project
from tests.plugin.peers import needs, plain

pytestmark = needs("pytest_jsonreport")

SOURCE = """
import logging
import numpy as np, pytest
@pytest.mark.reproducible(runs=3)
def test_same():
    print("printed once")
    logging.warning("logged once")
    values = np.ones(2)
@pytest.mark.reproducible
def test_fails():
    values = np.ones(2)
    assert 0
"""
PLUGINS = ["pytest_jsonreport", "metadata"]


def _tests(project: Project) -> list[Any]:
    tests = json.loads((project.pytester.path / ".report.json").read_text())["tests"]
    assert isinstance(tests, list)
    return tests


def test_one_entry_per_test(project: Project) -> None:
    project(SOURCE, "--json-report", plugins=PLUGINS).check(passed=1, failed=1)
    ours = _tests(project)
    plain(project, "--json-report", plugins=PLUGINS)
    theirs = _tests(project)
    assert [(t["nodeid"], t["outcome"]) for t in ours] == [
        ("test_it.py::test_same", "passed"),
        ("test_it.py::test_fails", "failed"),
    ]
    assert ours[0]["call"]["stdout"] == theirs[0]["call"]["stdout"] == "printed once\n"
    for phase in ("setup", "call", "teardown"):
        assert len(ours[0][phase].get("log", [])) == len(theirs[0][phase].get("log", []))
    assert ours[1]["call"]["longrepr"] == theirs[1]["call"]["longrepr"]
    assert ours[1]["call"]["traceback"] == theirs[1]["call"]["traceback"]
