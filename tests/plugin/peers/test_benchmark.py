"""pytest-benchmark: measures once, in the last run."""

from __future__ import annotations

import json

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs, plain

pytestmark = needs("pytest_benchmark")

SOURCE = """
import numpy as np, pytest
from conftest import log
@pytest.mark.reproducible(runs=3)
def test_a(benchmark):
    values = benchmark.pedantic(lambda: (log("called"), np.ones(2))[1], rounds=7, iterations=2)
@pytest.mark.reproducible
@pytest.mark.benchmark(min_rounds=3, max_time=0.001, warmup=False)
def test_b(benchmark):
    values = benchmark(np.ones, 2)
"""
ARGS = ["--benchmark-json=benchmark.json"]


def test_statistics_once_and_rounds_as_in_a_plain_run(project: Project) -> None:
    project.write(conftest=LOG)
    result = project(SOURCE, *ARGS, plugins=["benchmark"]).check(passed=2)
    assert result.verdicts == {"test_a": "reproduced", "test_b": "reproduced"}
    calls = len(logged(project))
    ours = json.loads((project.pytester.path / "benchmark.json").read_text())["benchmarks"]
    plain(project, *ARGS, plugins=["benchmark"]).check(passed=2)
    theirs = json.loads((project.pytester.path / "benchmark.json").read_text())["benchmarks"]
    assert [each["fullname"] for each in ours] == [each["fullname"] for each in theirs]
    assert len(ours) == 2
    assert ours[0]["stats"]["rounds"] == theirs[0]["stats"]["rounds"] == 7
    # Two rehearsals call once each.
    assert calls == len(logged(project)) + 2
