"""pytest-xdist: verdicts travel with the reports, whatever way tests are handed out."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs

pytestmark = needs("xdist")

MIXED = """
import numpy as np, pytest
@pytest.mark.reproducible
@pytest.mark.xdist_group("same")
@pytest.mark.parametrize("n", range(3))
def test_same(n):
    values = np.random.rand(n + 1)
def test_drawn(repro):
    repro.record(x=np.random.default_rng().random())
def test_fails(repro):
    repro.record(x=1)
    assert 0
def test_unmarked(): pass
"""
VERDICTS = {"test_same[0]": "reproduced", "test_same[1]": "reproduced", "test_same[2]": "reproduced",
            "test_drawn": "diverged", "test_fails": "failed"}  # fmt: skip


# The others hand out the same node ids in another order.
@pytest.mark.parametrize("dist", ["loadgroup", "worksteal"])
def test_every_way_to_hand_out(project: Project, dist: str) -> None:
    result = project(MIXED, "-n2", f"--dist={dist}", plugins=["xdist"])
    result.check(
        passed=4,
        failed=2,
        exit=1,
        says="4 compared (3 reproduced, 1 diverged), 0 observed nothing, ",
    )
    assert {name.removesuffix("@same"): word for name, word in result.verdicts.items()} == VERDICTS
    assert result.report["summary"] == {"reproduced": 3, "diverged": 1, "failed": 1}


def test_each_worker_has_its_own_verdicts(project: Project) -> None:
    result = project(MIXED, "-n2", "--dist=each", plugins=["xdist"])
    result.check(
        passed=8,
        failed=4,
        says="8 compared (6 reproduced, 2 diverged), 0 observed nothing, ",
    )
    assert len(result.report["tests"]) == 2 * len(VERDICTS)


def test_a_drawn_seed_is_shared(project: Project) -> None:
    project.write(conftest=LOG)
    result = project(
        """
        import random, pytest
        from conftest import log
        @pytest.mark.parametrize("n", range(4))
        def test_a(repro, n, worker_id):
            assert random.random() == random.Random(repro.seed).random()
            log(repro.seed, worker_id)
            repro.record(n=n)
        """,
        "-n2", "--repro-seed=random", plugins=["xdist"],
    ).check(passed=4)  # fmt: skip
    header = re.search(r"seed (\d+) \(drawn: --repro-seed=\1 gives it again\)", result.text)
    assert header is not None
    lines = [line.split() for line in logged(project)]
    assert {seed for seed, _ in lines} == {header[1]}
    assert {worker for _, worker in lines} == {"gw0", "gw1"}
    assert str(result.report["seed"]) == header[1]


CRASH = """
import os
def test_before(repro):
    repro.record(x=1)
def test_crash():
    os._exit(3)
def test_after(repro):
    repro.record(x=1)
"""


def test_a_crashed_worker_costs_no_result(project: Project) -> None:
    result = project(CRASH, "-n1", plugins=["xdist"]).check(passed=2, failed=1, exit=1)
    assert result.verdicts == {"test_before": "reproduced", "test_after": "reproduced"}


def test_nor_when_it_ends_the_session(project: Project) -> None:
    result = project(CRASH, "-n1", "--max-worker-restart=0", plugins=["xdist"])
    result.check(passed=1, failed=1, says="1 reproduced")
    assert result.run.ret != 0
    assert result.verdicts == {"test_before": "reproduced"}


def test_a_wrong_marker_is_said_by_the_controller(project: Project) -> None:
    project(
        """
        import pytest
        @pytest.mark.reproducible(runs="many")
        def test_a(): pass
        """,
        "-n2", plugins=["xdist"],
    ).check(
        exit=4, says="test_it.py::test_a: @pytest.mark.reproducible: runs='many'", lacks="INTERNALERROR"
    )  # fmt: skip


def test_texts_that_cannot_be_encoded_reach_the_controller(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=3)
    def test_a(repro):
        repro.record(**{"x\\ud800": repro.seed})
        assert repro.seed != 1, "\\ud801"
    @pytest.mark.reproducible(seeds=3)
    def test_b(repro): repro.record(**{"x\\ud800": repro.seed})
    """
    found = project(source, "-n1", plugins=["xdist"]).check(
        failed=1, passed=1, says=[r"AssertionError: \ud801", r"x\ud800   "]
    )
    assert r"\ud801" in found.report["tests"][0]["sweep"]["errors"]["1"]
