"""``--repro-noise``: seeds free or fixed, deterministic algorithms off or on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_repro.core.runs.run import RunSummary
from pytest_repro.engine.sweep.noise import summarize_noise
from tests.conftest import Project

pytest.importorskip("torch")

SOURCE = """
import itertools, pytest, torch
on, n, seen = torch.are_deterministic_algorithms_enabled, itertools.count(), []
def test_both(repro):
    seen.append((repro.seed, on()))
    impl = 0 if on() else next(n) // 2 % 2
    model = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1., repro.seed], [impl, 0.]]))
    labels = torch.zeros(10, dtype=torch.int64)
    labels[:2] = 1
    labels[repro.seed] += 1
    labels[9] += impl
    repro.record(model=model, accuracy=repro.seed / 10, labels=labels)
def test_constant(repro): repro.record(labels=torch.zeros(3, dtype=torch.bool), note="x")
@pytest.mark.reproducible(deterministic=False)
def test_breaks(repro):
    repro.record(x=1)
    assert repro.seed != 1, "no"
def test_fails(repro): assert not repro
def test_they_take_turns():
    assert seen[1:-1] == [(s, d) for i in range(2) for s, d in ((i, False), (i, True), (0, False), (0, True))]
    assert not on()
"""
SECTION = """\
noise     test_it.py::test_both
                     seeds  algorithms     distinct  churn  std accuracy  L2n    time
          ALGO+IMPL  free   any            2 of 2    30 %   0.0707        0.919  TIME
          ALGO       free   deterministic  2 of 2    20 %   0.0707        0.765  TIME
          IMPL       fixed  any            2 of 2    10 %   0             0.765  TIME
          CONTROL    fixed  deterministic  1 of 2    0 %    0             0      TIME
noise     test_it.py::test_constant
                     seeds  algorithms     distinct  churn  L2n  time
          ALGO+IMPL  free   any            1 of 2    0 %    -    TIME
          ALGO       free   deterministic  1 of 2    0 %    -    TIME
          IMPL       fixed  any            1 of 2    0 %    -    TIME
          CONTROL    fixed  deterministic  1 of 2    0 %    -    TIME
          labels is the same for every item with ALGO+IMPL, ALGO, IMPL, CONTROL: stable, but collapsed
noise     test_it.py::test_breaks
                     seeds  algorithms     distinct  churn  std x  L2n  time
          ALGO+IMPL  free   any            1 of 1    -      -      -    TIME
          ALGO       free   deterministic  1 of 1    -      -      -    TIME
          IMPL       fixed  any            1 of 2    -      0      -    TIME
          CONTROL    fixed  deterministic  1 of 2    -      0      -    TIME
          ALGO+IMPL: 1 left out (seed 1): AssertionError: no
          ALGO: 1 left out (seed 1): AssertionError: no
"""


def test_a_table_for_each_test_that_passes(project: Project) -> None:
    result = project(SOURCE, "--repro-noise=2", "-W", "default")
    result.check(passed=4, failed=1, says="ConstantModelWarning: labels is the same for every item with")
    lines = result.run.outlines
    start = next(i for i, line in enumerate(lines) if line.startswith("noise "))
    text = "\n".join(re.sub(r"\S+ s$", "TIME", line) for line in lines[start:])
    assert text.startswith(SECTION), text
    found: dict[str, Any] = {t["nodeid"].partition("::")[2]: t.get("noise") for t in result.report["tests"]}
    assert found["test_fails"] is None
    assert list(found["test_both"]) == ["ALGO+IMPL", "ALGO", "IMPL", "CONTROL"]
    control = found["test_both"]["CONTROL"]
    assert control.pop("seconds") > 0
    assert control == {"runs": 2, "distinct": 1, "churn": 0.0, "std": {"accuracy": 0.0}, "l2_normalised": 0.0}
    assert found["test_breaks"]["ALGO"]["failed"] == [{"run": 1, "seed": 1, "error": "AssertionError: no"}]
    assert set(result.verdicts.values()) == {"reproduced", "failed"}


def test_nothing_is_left_out_unseen(project: Project) -> None:
    source = """
    import torch
    def test_a(repro):
        repro.record(**{f"v{i}": repro.seed for i in range(6)})
        assert torch.are_deterministic_algorithms_enabled(), repro.seed
    """
    result = project(source, "--repro-noise=3").check(passed=1, says="IMPL: 3 left out (seed 0): Assert")
    result.check(says=["std v0  std v1  std v2  L2n", "  std of 3 more in the JSON report: v3, v4, v5"])
    failed = result.report["tests"][0]["noise"]["IMPL"]["failed"]
    assert [(each["run"], each["seed"]) for each in failed] == [(0, 0), (1, 0), (2, 0)]


def test_five_runs_where_nothing_is_said(project: Project) -> None:
    source = "def test_a(repro): repro.record(x=1)"
    project(source, "--repro-noise").check(passed=1, says="1 of 5")
    project.again("--repro-noise=1").check(exit=4, says="a whole number of runs, 2 or more")


def test_what_runs_say_together() -> None:
    numpy = pytest.importorskip("numpy")

    def run(seed: int, weight: float) -> RunSummary:
        labels = numpy.arange(1000) % (2 + seed)
        return RunSummary(
            seed, "passed", "", seed, str(seed), {}, {"labels": labels}, {"w": numpy.array([weight, 0.0])}
        )

    found = summarize_noise([run(0, 1.0), run(1, -1.0)])
    assert (found.runs, found.distinct_results, found.l2_normalised, found.seconds) == (2, 2, 2.0, 0.5)
    assert found.churn == (numpy.arange(1000) % 2 != numpy.arange(1000) % 3).mean()
    assert summarize_noise([run(0, 1.0), run(1, 0.0)]).l2_normalised is None
    assert summarize_noise([]).seconds is None
