"""pytest-cov: the bodies are counted, and what is reported stays as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs, plain

pytestmark = needs("pytest_cov")

MODEL = """
import numpy as np
def step(n):
    if n > 1:
        return np.ones(n)
    return np.zeros(n)
def never():
    return 1
"""
SOURCE = """
import pytest
import model
@pytest.mark.reproducible
@pytest.mark.parametrize("n", [1, 2])
def test_a(n):
    values = model.step(n)
    doubled = values * 2
"""


def _covered(project: Project) -> dict[str, Any]:
    files = json.loads((project.pytester.path / "cov.json").read_text())["files"]
    return {name: (each["executed_lines"], each["missing_lines"]) for name, each in files.items()}


@pytest.mark.parametrize(
    "more", [[], pytest.param(["-n1"], marks=needs("xdist"))], ids=["one process", "xdist"]
)
def test_bodies_are_counted(project: Project, more: list[str]) -> None:
    project.write(model=MODEL)
    args = ["--cov=.", "--cov-report=json:cov.json", "--cov-branch", *more]
    plugins = ["pytest_cov", *(["xdist"] if more else [])]
    result = project(SOURCE, *args, plugins=plugins, subprocess=True).check(passed=2)
    assert set(result.verdicts.values()) == {"reproduced"}
    ours = _covered(project)
    plain(project, *args, plugins=plugins, subprocess=True).check(passed=2)
    assert ours == _covered(project)
    assert ours["model.py"][1] == [7]
    assert ours["test_it.py"][1] == []
