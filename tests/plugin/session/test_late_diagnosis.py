"""The diagnosis of a test in this process: nothing of the test, its fixtures and reports is lost."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs

CONFTEST = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # a recipe of pytest's documentation
    report = yield
    setattr(item, "report_" + report.when, report)
    return report

@pytest.fixture
def shown(request):
    yield
    print("fixture saw", request.node.report_call.outcome)

def pytest_runtest_teardown(item):
    print("hook saw", sorted(item.funcargs))
"""

TEST = """
import os, random

def test_a(shown, repro, tmp_path, monkeypatch):
    monkeypatch.setenv("ONLY_THERE", "1")
    print("said in the body")
    repro.record(x=random.Random().random())

def test_broken(broken, repro):
    repro.record(x=random.Random().random())

def test_after():
    assert "ONLY_THERE" not in os.environ
"""

BROKEN = """
@pytest.fixture
def broken():
    yield
    print("breaks")
    raise RuntimeError("tear-down broke")
"""


def test_the_report_is_that_of_a_plain_tear_down(project: Project) -> None:
    project.write(conftest=CONFTEST + BROKEN, test_it=TEST)
    project.inquires = True
    result = project.again(subprocess=True).check(failed=2, passed=1, errors=1)
    assert result.text.count("  cause      os-entropy at test_it.py:") == 2
    for text in ("said in the body", "fixture saw failed", "breaks", "E       RuntimeError: tear-down broke"):
        assert result.text.splitlines().count(text) == 1, text
    result.check(says="Captured stdout teardown", lacks=["plugin/session", "plugin/judge"])
    assert "hook saw ['monkeypatch', 'repro', 'request', 'shown', 'tmp_path'" in result.text


def test_no_interpreter_is_started(project: Project) -> None:
    project.write(
        conftest="""
        import os
        os.environ.setdefault("FIRST", str(os.getpid()))
        assert os.environ["FIRST"] == str(os.getpid())
        """
    )
    project.inquires = True
    source = "import random\ndef test_a(repro): repro.record(x=random.Random().random())"
    result = project(source, subprocess=True).check(failed=1)
    assert result.report["tests"][0]["cause"]["name"] == "os-entropy"
    # A debugger wants the fixtures alive: another process looks for the cause, and cannot be started.
    result = project.again("--setup-show", subprocess=True)
    assert result.report["tests"][0]["cause"]["name"] == "unknown"
    result.check(says="look for   default_rng() or random.Random() without a seed")


@needs("pytest_rerunfailures")
def test_a_mismatch_is_not_rerun_away(project: Project) -> None:
    project.inquires = True
    source = "import random\ndef test_a(repro): repro.record(x=random.Random().random())"
    result = project(source, "--reruns=2", plugins=["rerunfailures"], subprocess=True)
    result.check(failed=1, says="os-entropy at test_it.py:2")


@pytest.mark.skipif(find_spec("numpy") is None, reason="needs numpy")
def test_one_of_twelve_values(project: Project) -> None:
    """Four runs tell it from chance, and seldom more than some ten."""
    project.inquires = True
    result = project(
        """
        import numpy as np
        def test_a(repro):
            repro.record(x=int(np.random.default_rng().integers(12)))
        """,
        "--repro-runs=4", subprocess=True,
    )  # fmt: skip
    (test,) = result.report["tests"]
    if test["verdict"] == "diverged":  # one of 1,728 sessions draws equal numbers
        assert (test["cause"]["name"], test["cause"]["location"]) == ("os-entropy", "test_it.py:3")
