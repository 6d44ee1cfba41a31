"""A failing assertion of the package: the test is diverged, although it fails in each run."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs

SOURCE = """
import random, unittest
import numpy as np, pytest
from pytest_repro import *

@pytest.fixture
def drawing():
    with assert_no_draws():
        random.random()

@pytest.fixture
def watched():
    with assert_no_draws():
        yield

def unseeded():
    return np.random.default_rng().random()

def test_draws(repro):
    repro.record(x=1)
    with assert_no_draws():
        random.random()

def test_distinct(repro):
    assert_distinct_draws({1: [0.5], 2: [0.5]})

def test_batch(repro):
    assert_batch_invariant(lambda rows: rows - rows.mean(), np.arange(8.0))

def test_function(repro):
    assert_reproducible(unseeded)

def test_fixture(repro, drawing): pass

def test_after(repro, watched):
    repro.record(x=random.random())

@pytest.mark.reproducible
class TestCase(unittest.TestCase):
    def test_sub(self):
        with self.subTest(), assert_no_draws():
            random.random()

def test_some_runs(repro):
    with assert_no_draws():
        random.random() if repro.run else None

@pytest.mark.xfail
def test_expected(repro):
    assert_reproducible(unseeded)

@pytest.mark.reproducible(runs=1)
def test_once():
    assert_reproducible(unseeded)

def test_nothing(repro):
    assert_reproducible(lambda: None)

def test_caught(repro):
    with pytest.raises(NotReproducible):
        assert_reproducible(unseeded)
    repro.record(x=1)

def test_own_fault(repro):
    assert_batch_invariant(len, [])
"""
DIVERGED = (
    "draws", "distinct", "batch", "function", "fixture", "after", "some_runs", "expected", "once"
)  # fmt: skip


@pytest.mark.parametrize("workers", ["", pytest.param("-n2", marks=needs("xdist"))])
def test_is_diverged_in_report_counts_and_gate(project: Project, workers: str) -> None:
    args, plugins = ([workers], ["xdist"]) if workers else ([], [])
    result = project(SOURCE, "--repro-require=99", "-q", *args, plugins=plugins).check(
        says=[
            "11 compared (1 reproduced, 10 diverged), 1 observed nothing, 1 fail",
            "11 tests were compared",
            "diverged  test_it.py::test_distinct  draws: 1 distinct of 2 draws, the same: 1, 2\n",
            "unobserved  test_it.py::test_nothing  test_it.test_nothing.<locals>.<lambda> observed nothing",
            ">       with assert_no_draws():",  # pytest shows its own failure
        ],
        lacks=["--repro-seed=random", "diverged  test_it.py::test_expected"],
    )
    assert result.verdicts == {
        **{f"test_{name}": "diverged" for name in DIVERGED},
        "TestCase::test_sub": "diverged",
        "test_nothing": "unobserved",
        "test_caught": "reproduced",
        "test_own_fault": "failed",
    }
    rows = {row["nodeid"].rpartition("::")[2]: row for row in result.report["tests"]}
    assert [run["outcome"] for run in rows["test_after"]["runs"]] == ["passed"] * 2
    assert rows["test_some_runs"]["mismatches"][0]["problem"] == "outcome"
    assert rows["test_expected"]["expected"]
    assert rows["test_function"]["cause"] == {
        "name": "os-entropy", "location": "test_it.py:16", "ruled_out": [],
        "explanation": "numpy.random.default_rng() draws its seed from the operating system",
        "fix": "pass a seed, or use repro.rng()",
    }  # fmt: skip


def test_what_a_checkpoint_lacks_is_the_cause(project: Project) -> None:
    result = project(
        """
        import numpy as np
        from pytest_repro import assert_resumable
        def train(state, steps):
            for _ in range(steps):
                state["speed"] = (state["speed"] or 0) + 1
                state["w"] += state["speed"]
        def load(state, saved):
            state["w"][:] = saved
        def test_a(repro):
            assert_resumable(
                train, lambda state: state["w"], load, make=lambda: {"w": np.zeros(2), "speed": None}, at=2
            )
        """,
        "--repro-html=page.html",
    ).check(failed=1)
    (row,) = result.report["tests"]
    assert row["cause"] == {
        "name": "shared-state", "ruled_out": [],
        "explanation": "the checkpoint lacks what the steps before the stop left for the next: "
        "state['speed'] (int)",
        "fix": "save and load state['speed'] (int): its value",
    }  # fmt: skip
    shown = "train is not resumable (bit for bit, seed 0): stopped after 2 of 4 steps"
    assert shown in (project.pytester.path / "page.html").read_text("utf-8")
