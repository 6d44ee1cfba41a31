"""pytest-html: one row per test."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs, plain

pytestmark = needs("pytest_html")

SOURCE = """
import numpy as np, pytest
@pytest.mark.reproducible(runs=3)
def test_same():
    print("printed once")
    values = np.ones(2)
@pytest.mark.reproducible
def test_fails():
    values = np.ones(2)
    assert 0
"""


def _rows(project: Project) -> dict[str, list[Any]]:
    page = (project.pytester.path / "page.html").read_text()
    (data,) = re.findall(r'data-jsonblob="([^"]*)"', page)
    tests = json.loads(html.unescape(data))["tests"]
    assert isinstance(tests, dict)
    return tests


def test_one_row_per_test(project: Project) -> None:
    args = ["--html=page.html"]
    project(SOURCE, *args, plugins=["html", "html_fixtures", "metadata"]).check(passed=1, failed=1)
    ours = _rows(project)
    plain(project, *args, plugins=["html", "html_fixtures", "metadata"])
    theirs = _rows(project)
    assert {name: len(rows) for name, rows in ours.items()} == {n: len(rows) for n, rows in theirs.items()}
    results = {name: [row["result"] for row in rows] for name, rows in ours.items()}
    assert results == {"test_it.py::test_same": ["Passed"], "test_it.py::test_fails": ["Failed"]}
    assert ours["test_it.py::test_same"][0]["log"].count("printed once") == 1


DRAWN = """
import itertools
runs = itertools.count()
def test_differs(repro):
    run = next(runs)
    for step in range(20):
        repro.record(loss=1 / (step + 1) + (step > 11) * run * 1e-9)
def test_same(repro): repro.record(x=1)
def test_unmarked(): pass
"""


@pytest.mark.parametrize("how", [["--self-contained-html"], [], ["--self-contained-html", "-n1"]])
def test_verdict_and_drawings_stand_in_the_row(project: Project, how: list[str]) -> None:
    args = ["--html=page.html", "--repro-diagnose=never", *how]
    plugins = ["html", "html_fixtures", "metadata", *(["xdist", "xdist.looponfail"] if "-n1" in how else [])]
    project(DRAWN, *args, plugins=plugins).check(failed=1, passed=2)
    shown = {name: [each["content"] for each in rows[0]["extras"]] for name, rows in _rows(project).items()}
    (differs,), (same,) = shown["test_it.py::test_differs"], shown["test_it.py::test_same"]
    assert "≠ diverged · loss[12] and 7 more differ, max abs 1e-09" in differs
    assert differs.count('role="img"') == 3
    assert "= reproduced" in same
    assert "<svg" not in same
    assert shown["test_it.py::test_unmarked"] == []
