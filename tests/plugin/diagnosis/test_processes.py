"""Causes of differences between this process and fresh ones, in real sessions."""

from __future__ import annotations

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
