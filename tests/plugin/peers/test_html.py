"""pytest-html: one row per test."""

from __future__ import annotations

import html
import json
import re
from typing import Any

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
    project(SOURCE, *args, plugins=["html", "html_fixtures", "metadata"], subprocess=True).check(
        passed=1, failed=1
    )
    ours = _rows(project)
    plain(project, *args, plugins=["html", "html_fixtures", "metadata"], subprocess=True)
    theirs = _rows(project)
    assert {name: len(rows) for name, rows in ours.items()} == {n: len(rows) for n, rows in theirs.items()}
    results = {name: [row["result"] for row in rows] for name, rows in ours.items()}
    assert results == {"test_it.py::test_same": ["Passed"], "test_it.py::test_fails": ["Failed"]}
    assert ours["test_it.py::test_same"][0]["log"].count("printed once") == 1
