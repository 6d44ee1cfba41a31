"""pytest-repeat and pytest-flakefinder: each of their repetitions has runs and a verdict of its own."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs

SOURCE = """
import random
from conftest import log
def test_a(repro):
    log(repro.run)
    repro.record(x=random.random())
"""


@pytest.mark.parametrize(
    ("plugin", "args"),
    [
        pytest.param("repeat", ["--count=3"], marks=needs("pytest_repeat")),
        pytest.param("flakefinder", ["--flake-finder", "--flake-runs=3"], marks=needs("pytest_flakefinder")),
    ],
)
def test_each_repetition_is_judged(project: Project, plugin: str, args: list[str]) -> None:
    project.write(conftest=LOG)
    result = project(SOURCE, *args, plugins=[plugin]).check(passed=3)
    assert result.report["summary"] == {"reproduced": 3}
    assert logged(project) == ["0", "1"] * 3
