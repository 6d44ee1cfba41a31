"""pytest-randomly: seeds every test as well; a marked test sees this plugin's seed all the same."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs, plain

pytestmark = needs("pytest_randomly")

SOURCE = """
import random
import numpy as np, pytest
from conftest import log
@pytest.fixture
def drawn():
    return random.random()
@pytest.fixture(scope="module")
def shared():
    log("shared", random.random())
def test_first(shared):
    log("first", random.random(), np.random.rand())
@pytest.mark.reproducible
def test_marked(drawn):
    assert drawn == random.random() == random.Random(0).random()
    assert np.random.rand() == np.random.RandomState(0).rand()
    values = np.random.rand(3)
def test_second():
    log("second", random.random(), np.random.rand())
"""
ARGS = ["--randomly-seed=4000000000", "--randomly-dont-reorganize"]


@pytest.mark.parametrize("early", [True, False])
def test_the_seed_is_ours_and_others_keep_theirs(project: Project, early: bool) -> None:
    project.write(conftest=LOG)
    # Hooks run in the reverse order of registration: neither order may decide who seeds last.
    names = ["randomly", "repro", "repro_marker"] if early else ["repro", "repro_marker", "randomly"]
    loaded = [word for name in names for word in ("-p", name)]
    project.pytester.makepyfile(test_it=SOURCE)
    result = project.pytester.runpytest_inprocess("-p", "no:cacheprovider", *loaded, *ARGS)
    result.assert_outcomes(passed=3)
    with_us = logged(project)
    plain(project, *ARGS, plugins=["randomly"])
    assert with_us == logged(project)
    assert [line.split()[0] for line in with_us] == ["shared", "first", "second"]


def test_a_shuffled_order_reproduces(project: Project) -> None:
    result = project(
        """
        import random, pytest
        @pytest.mark.parametrize("n", range(6))
        def test_a(repro, n):
            repro.record(x=random.random())
        """,
        "--randomly-seed=1", plugins=["randomly"],
    ).check(passed=6)  # fmt: skip
    order = [test["nodeid"] for test in result.report["tests"]]
    assert order != sorted(order)
    assert set(result.verdicts.values()) == {"reproduced"}
