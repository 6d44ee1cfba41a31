"""Tests of one session that make the same call: it is the cause of some, and of others not."""

from __future__ import annotations

import pytest

from tests.conftest import Project

pytest.importorskip("numpy")

LIBRARY = """
import numpy as np

def draw():
    return np.random.default_rng().normal()
"""

SAME = """
import os, time, uuid
import numpy as np, pytest
from library import draw

CLOCKS, RUNS = [], []

@pytest.mark.parametrize("number", [1, 2, 3])
def test_same(repro, number):
    repro.record(x=draw() + number)

def test_same_elsewhere(repro):
    assert draw() < 100
    repro.record(y=[draw(), draw()])

def test_unused_beside_a_clock(repro):
    draw()
    repro.record(now=time.time_ns())

def test_unused_beside_another_library(repro):
    draw()
    repro.record(name=uuid.uuid4().hex)

def test_unused_beside_another_line(repro):
    draw()
    repro.record(z=np.random.default_rng().normal())

def test_unused_beside_a_die(repro):
    draw()
    repro.record(die=os.urandom(1)[0] % 5)
"""


def test_the_same_call_in_many_tests(project: Project) -> None:
    project.write(library=LIBRARY)
    project.inquires = True
    report = project(SAME, "--repro-runs=4", subprocess=True).report
    found = {row["nodeid"].partition("::")[2]: row.get("cause", {}) for row in report["tests"]}
    helper, lines = ("os-entropy", "library.py:4"), SAME.splitlines()

    def locate(name: str, text: str) -> tuple[str, str]:
        return name, f"test_it.py:{lines.index(text)}"

    assert {name: (cause["name"], cause["location"]) for name, cause in found.items()} == {
        "test_same[1]": helper,
        "test_same[2]": helper,
        "test_same[3]": helper,
        "test_same_elsewhere": helper,
        "test_unused_beside_a_clock": locate("clock", "    repro.record(now=time.time_ns())"),
        "test_unused_beside_another_library": locate("os-entropy", "    repro.record(name=uuid.uuid4().hex)"),
        "test_unused_beside_another_line": locate(
            "os-entropy", "    repro.record(z=np.random.default_rng().normal())"
        ),
        "test_unused_beside_a_die": locate("os-entropy", "    repro.record(die=os.urandom(1)[0] % 5)"),
    }
    for name in ("test_same[2]", "test_same_elsewhere"):
        assert found[name]["explanation"] == found["test_same[1]"]["explanation"]


STATE = """
from library import draw

RUNS = []

def test_same(repro):
    repro.record(x=draw())

def test_settles(repro):
    draw()
    RUNS.append(0)
    repro.record(cached=min(len(RUNS), 3))
"""


def test_state_that_settles_beside_the_same_call(project: Project) -> None:
    project.write(library=LIBRARY)
    project.inquires = True
    report = project(STATE, subprocess=True).report
    assert [row["cause"]["name"] for row in report["tests"]] == ["os-entropy", "shared-state"]
