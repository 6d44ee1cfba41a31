"""Orders by address of what is imported, in real sessions: address-order or unknown, never the process."""

from __future__ import annotations

import pytest

from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from tests.conftest import Project
from tests.plugin.diagnosis.test_processes import read_causes

pytestmark = pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")

ZOO = "\n".join(
    [
        *(f"def f{number}(): ..." for number in range(120)),
        *(f"class C{number}: ..." for number in range(60)),
        "class Animal:",
        "    def __init__(self, number): self.number = number",
        "    def get_number(self): return self.number",
        "METHODS = {Animal(number).get_number for number in range(60)}",
        "NAMES = {kind: name for name, kind in list(vars().items()) if isinstance(kind, type)}",
    ]
)
TESTS = """
import os
import pytest
import m0, m1, m2, m3, m4, m5, m6, m7
import zoo

pytestmark = pytest.mark.reproducible(process=True)
STARTED_BY = os.getpid()

def list_names(letter):
    return [each.__name__ for each in {value for name, value in vars(zoo).items() if name[0] == letter}]

def test_functions(repro): repro.record(names=list_names("f"))
def test_classes(repro): repro.record(names=list_names("C"))
def test_keys(repro): repro.record(names=[zoo.NAMES[kind] for kind in set(zoo.NAMES)])
def test_methods(repro): repro.record(numbers=[method() for method in zoo.METHODS])
def test_modules(repro): repro.record(names=[each.__name__ for each in {m0, m1, m2, m3, m4, m5, m6, m7}])
def test_number_of_the_process(repro): repro.record(number=os.getpid())
def test_number_at_import(repro): repro.record(number=STARTED_BY)
"""


def test_order_of_what_is_imported(project: Project) -> None:
    project.inquires = True
    project.write(zoo=ZOO, **dict.fromkeys([f"m{number}" for number in range(8)], ""))
    result = project(TESTS, "-p", "no:randomly", subprocess=True)
    found = {name: text.split() for name, text in read_causes(result).items()}
    for name in ("test_number_of_the_process", "test_number_at_import"):
        assert found.pop(name)[0] == "process"
    # Two processes may agree by chance; on a machine that does not let processes fix their addresses, and
    # is busy, it may remain unknown.
    assert {cause for cause, _ in found.values()} <= {"address-order", "unknown"}, result.report["tests"]
    assert sum(cause == "address-order" for cause, _ in found.values()) >= 3
    for test in result.report["tests"]:
        cause = test.get("cause", {"name": "", "ruled_out": []})
        assert cause["name"] == "process" or "address-order" not in cause["ruled_out"], test
