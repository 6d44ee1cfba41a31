"""pytest-reportlog: as many lines per test as in a plain run."""

from __future__ import annotations

import json

from tests.conftest import Project
from tests.plugin.peers import needs, plain

pytestmark = needs("pytest_reportlog")

SOURCE = """
import warnings
import numpy as np, pytest
@pytest.mark.reproducible(runs=3)
def test_same():
    warnings.warn("once")
    values = np.ones(2)
@pytest.mark.reproducible
def test_fails():
    values = np.ones(2)
    assert 0
@pytest.mark.reproducible
def test_skips():
    pytest.skip("today")
"""


def _lines(project: Project) -> list[tuple[object, ...]]:
    lines = [json.loads(line) for line in (project.pytester.path / "log.json").read_text().splitlines()]
    keys = ("$report_type", "nodeid", "when", "outcome", "category")
    return [tuple(line.get(key) for key in keys) for line in lines]


def test_as_many_lines_as_in_a_plain_run(project: Project) -> None:
    args = ["--report-log=log.json"]
    result = project(SOURCE, *args, "-Wdefault", plugins=["pytest_reportlog"])
    assert result.verdicts == {"test_same": "reproduced", "test_fails": "failed", "test_skips": "skipped"}
    ours = _lines(project)
    (project.pytester.path / "log.json").unlink()
    plain(project, *args, "-Wdefault", plugins=["pytest_reportlog"])
    assert ours == _lines(project)
    assert sum(line[0] == "WarningMessage" for line in ours) == 1
