"""``--repro-cost``: each test is also timed with determinism controls off."""

from __future__ import annotations

import re

import pytest

from pytest_repro.core.runs.run import CostTimings
from pytest_repro.plugin.extra_runs.cost import cost_to_row, format_total_cost
from pytest_repro.reports.summary import format_notes
from tests.conftest import Project, Result
from tests.plugin.peers import needs

pytest.importorskip("torch")

SOURCE = """
import random, time, pytest, torch
on = torch.are_deterministic_algorithms_enabled
@pytest.fixture
def slow(): time.sleep(0.05)
def test_cheap(repro, slow):
    time.sleep(0.002 if on() else 0.02)
    repro.record(x=torch.rand(3))
def test_dear(repro):
    time.sleep(0.02 if on() else 0.002)
    repro.record(x=random.random())
@pytest.mark.reproducible(deterministic=False)
def test_nothing_to_time(repro): repro.record(x=on())
def test_needs_it(repro):
    repro.record(x=1)
    if not on(): raise ValueError
@pytest.mark.reproducible(runs=1)
def test_once(): time.sleep(0.002)
@pytest.mark.xfail
def test_fails(repro): assert not repro
@pytest.mark.skip
def test_skipped(repro): pass
def test_plain(): assert not on()
"""
ONE = (
    r"deterministic \S+ s, default \S+ s \(medians of 5 and 5\): ratio \S+, \S+ % \(pair by pair \S+ to \S+\)"
)
SUM = r"deterministic \S+ s, default \S+ s: ratio \S+, \S+ %"
TIMES = f"{ONE}|{SUM}"
SECTION = """\
cost      test_it.py::test_cheap  TIMES
cost      test_it.py::test_dear  TIMES
cost      test_it.py::test_nothing_to_time  not measured: deterministic=False, there are no determinism controls to switch off
cost      test_it.py::test_needs_it  not measured: with determinism controls off it fails: ValueError
cost      test_it.py::test_once  TIMES
cost      total  TIMES
"""  # noqa: E501


def told(result: Result) -> list[str]:
    lines = (line for line in result.run.outlines if line.startswith("cost "))
    return sorted(re.sub(TIMES, "TIMES", line) for line in lines)


def check(result: Result) -> None:
    assert "left out  --repro-cost: not for a test that fails (1 test)" in result.run.outlines
    result.check(passed=6, xfailed=1, skipped=1, exit=0)
    assert told(result) == sorted(SECTION.splitlines())
    found = {test["nodeid"].partition("::")[2]: test.get("cost") for test in result.report["tests"]}
    assert {name for name, cost in found.items() if cost} == {"test_cheap", "test_dear", "test_once"}
    assert found["test_cheap"].keys() == {"deterministic", "default", "ratio", "spread"}
    assert found["test_cheap"]["ratio"] < 0.9, "faster with the controls on, and no set-up timed"
    assert found["test_dear"]["ratio"] > 1.1
    assert not any("cost_note" in test for test in result.report["tests"])
    assert sorted(len(test["runs"]) for test in result.report["tests"]) == [1] + [2] * (len(found) - 1)


def test_it_is_told_by_test_and_in_sum(project: Project) -> None:
    check(project(SOURCE, "--repro-cost", "-q"))


@needs("xdist")
def test_under_workers(project: Project) -> None:
    check(project(SOURCE, "--repro-cost", "-n1", plugins=["xdist"]))


def test_runs_are_made_in_turn_and_leave_everything_as_it_was(project: Project) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_cost = true\nfilterwarnings = ['default']")
    project(
        """
        import pytest, random, torch, warnings
        seen, before = [], torch.are_deterministic_algorithms_enabled()
        def test_a(repro, record_property):
            on = torch.are_deterministic_algorithms_enabled()
            if not on: warnings.warn("only with the controls off")
            seen.append((on, repro.seed, random.random(), float(torch.rand(()))))
            record_property("run", repro.run)
            repro.record(x=seen[-1])
            print("heard once")
        def test_after():
            assert [on for on, *_ in seen] == [True] + [True, False] * 6 + [True]
            assert len({rest for _, *rest in map(tuple, seen) for rest in [tuple(rest)]}) == 1
            assert torch.are_deterministic_algorithms_enabled() == before
        """,
        "-rP",
    ).check(passed=2, lacks="only with the controls off")


def test_a_difference_fails_as_without_it(project: Project) -> None:
    result = project("import os\ndef test_a(repro): repro.record(x=os.urandom(3))", "--repro-cost")
    result.check(failed=1, says="test_a is not reproducible (bit for bit, 2 runs, seed 0)")
    assert result.verdicts == {"test_a": "diverged"}


def test_it_may_be_below_1() -> None:
    row = cost_to_row(CostTimings((0.3, 0.32, 0.5), (0.4, 0.5, 0.48)))
    wanted = {"deterministic": 0.32, "default": 0.48, "ratio": 0.666666667, "spread": [0.64, 1.041666667]}
    assert row["cost"] == wanted
    other = cost_to_row(CostTimings((0.1,), (0.08,)))
    rows = [{"nodeid": "a", **row}, {"nodeid": "b", **other}, {"nodeid": "c"}]
    assert [*format_notes(rows, "cost_note", "cost"), *format_total_cost(rows)] == [
        "cost      a  deterministic 0.32 s, default 0.48 s (medians of 3 and 3): ratio 0.67, -33 %"
        " (pair by pair 0.64 to 1.04)",
        "cost      b  deterministic 0.1 s, default 0.08 s (medians of 1 and 1): ratio 1.25, +25 %",
        "cost      total  deterministic 0.42 s, default 0.56 s: ratio 0.75, -25 %",
    ]
    assert cost_to_row(CostTimings((), ())) == {}
