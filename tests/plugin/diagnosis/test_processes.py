"""Causes of differences between this process and fresh ones, in real sessions."""

from __future__ import annotations

import pytest

from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from tests.conftest import Project, Result

CONFTEST = """
import random
import pytest
import numpy as np

SALT = random.random()

@pytest.fixture(scope="session")
def weights():
    return np.random.default_rng().random(3)
"""
HELPER = """
from dataclasses import dataclass
import time
import numpy as np

@dataclass
class Options:
    shift: float = np.random.default_rng().random()

STARTED = time.time()
np.random.seed(0)
SEEDED = np.random.rand(2)
"""
TESTS = """
import numpy as np
import pytest
import helper
from conftest import SALT

pytestmark = pytest.mark.reproducible(process=True)

def test_salt(repro):
    repro.record(salt=SALT)

def test_options(repro):
    repro.record(shift=helper.Options().shift)

def test_started(repro):
    repro.record(started=helper.STARTED)

def test_seeded(repro):
    repro.record(seeded=helper.SEEDED)

def test_session_fixture(repro, weights):
    repro.record(weights=weights)

@pytest.mark.parametrize("x", [np.random.rand(3)], ids=["x"])
def test_parameter(repro, x):
    repro.record(x=x)
"""


def read_causes(result: Result) -> dict[str, str]:
    """The cause and its line, by test name."""
    causes = {test["nodeid"].split("::")[1]: test.get("cause") for test in result.report["tests"]}
    return {name: f"{cause['name']} {cause.get('location')}" for name, cause in causes.items() if cause}


def test_values_drawn_at_import(project: Project) -> None:
    project.inquires = True
    project.write(conftest=CONFTEST, helper=HELPER)
    result = project(TESTS, subprocess=True)
    assert read_causes(result) == {
        "test_salt": "os-entropy conftest.py:5",
        "test_options": "os-entropy helper.py:7",
        "test_started": "clock helper.py:9",
        "test_session_fixture": "os-entropy conftest.py:9",
    }


LIBRARY = """
CACHE = {}
SCALE = 1.0
UNUSED = 1
"""
AFTER_OTHERS = """
import os
import numpy as np
import pytest
import lib

def test_that_changes_much():
    lib.SCALE = 2.0
    lib.UNUSED = 2
    lib.CACHE["k"] = 5
    os.environ["MODE"] = "fast"
    np.seterr(all="raise")

@pytest.mark.reproducible(process=True)
def test_global(repro):
    repro.record(scaled=3 * lib.SCALE)

@pytest.mark.reproducible(process=True)
def test_cache(repro):
    repro.record(found=lib.CACHE.get("k", 0))

@pytest.mark.reproducible(process=True)
def test_variable(repro):
    repro.record(mode=os.environ.get("MODE", "slow"))

@pytest.mark.reproducible(process=True)
def test_setting(repro):
    repro.record(mode=np.geterr()["over"])
"""


def test_state_left_by_an_earlier_test(project: Project) -> None:
    project.inquires = True
    project.write(lib=LIBRARY)
    result = project(AFTER_OTHERS, subprocess=True)
    assert read_causes(result) == {
        "test_global": "shared-state lib.py:2",
        "test_cache": "shared-state lib.py:1",
        "test_variable": "shared-state None",
        "test_setting": "shared-state None",
    }
    texts = [test["cause"]["explanation"] for test in result.report["tests"] if "cause" in test]
    assert "lib.SCALE is 2.0 here and 1.0 in a fresh process; with it" in texts[0]
    assert "lib.CACHE has 1 items here and 0 in a fresh process; with it" in texts[1]
    assert "os.environ['MODE'] exists only here; with it" in texts[2]
    assert "numpy.geterr() has other values here than in a fresh process; with it" in texts[3]


WORKERS = """
import multiprocessing, os, time
import numpy as np
import pytest

pytestmark = pytest.mark.reproducible

def seed_by_time():
    np.random.seed(time.time_ns() % 2**31)

def seed_by_process():
    np.random.seed(os.getpid())

def draw(number):
    return np.random.rand()

def draw_anew(number):
    return np.random.default_rng().random()

@pytest.mark.parametrize("initializer", [seed_by_time, seed_by_process], ids=["time", "process"])
def test_initializer(repro, initializer):
    with multiprocessing.get_context("fork").Pool(1, initializer=initializer) as pool:
        repro.record(drawn=pool.map(draw, range(3)))

def test_task(repro):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        repro.record(drawn=pool.map(draw_anew, range(4)))
"""


@pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")
def test_seeds_of_worker_processes(project: Project) -> None:
    project.inquires = True
    result = project(WORKERS, subprocess=True)
    assert read_causes(result) == {
        "test_initializer[time]": "clock test_it.py:8",
        "test_initializer[process]": "os-entropy test_it.py:11",
        "test_task": "os-entropy test_it.py:17",
    }
    for test in result.report["tests"]:
        assert "in a worker process: see worker_init_fn" in test["cause"]["explanation"]
