"""The line of a cause that an axis brings to light, in real sessions."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.diagnosis.test_processes import read_causes

TESTS = """
import os
import numpy as np
import pytest
import torch

def make():
    made = np.empty(2)
    made[0] = 1
    return made

@pytest.mark.reproducible(memory=True)
def test_numpy(repro):
    drawn = np.random.rand(3)
    made = np.empty(4)
    made[:3] = drawn
    repro.record(made=made)

@pytest.mark.reproducible(memory=True)
def test_torch(repro):
    written = torch.empty(3)
    written[:] = np.empty(3).size
    repro.record(read=torch.empty(3), written=written)

@pytest.mark.reproducible(memory=True)
def test_two(repro):
    repro.record(drawn=np.random.rand(3), made=make())
    repro.record(read=torch.empty(3))

@pytest.mark.reproducible(memory=True)
def test_both_needed(repro):
    found = [np.empty(1)[0]
             + np.empty(1)[0]]
    repro.record(found=found[0] == 2)

@pytest.mark.reproducible(memory=True)
def test_method(repro):
    repro.record(found=torch.ones(2).new_empty(3))

@pytest.mark.reproducible(order=True)
def test_listing(repro, tmp_path):
    for number in range(9):
        (tmp_path / str(number)).touch()
    known = sorted(os.listdir(tmp_path))
    repro.record(names=os.listdir(tmp_path), known=len(known))
"""


def test_line_of_what_differs_between_two_values(project: Project) -> None:
    """``numpy.random.rand`` calls ``numpy.empty``, and writes all of it."""
    pytest.importorskip("torch")
    project.inquires = True
    result = project(TESTS)
    assert read_causes(result) == {
        "test_numpy": "uninitialised-memory test_it.py:14",
        "test_torch": "uninitialised-memory test_it.py:22",
        "test_two": "uninitialised-memory test_it.py:7",
        "test_both_needed": "uninitialised-memory None",
        "test_method": "uninitialised-memory test_it.py:37",
        "test_listing": "file-order test_it.py:44",
    }
