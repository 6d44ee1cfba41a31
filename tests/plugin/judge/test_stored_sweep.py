"""Golden files that hold a sweep over seeds, from the marker to the file and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Project, Result
from tests.plugin.judge.test_baseline import elsewhere, golden

MODULE = """
    import numpy as np, pytest
    @pytest.mark.reproducible(baseline=True, seeds={seeds}{more})
    def test_a(repro):
        rng = np.random.default_rng(repro.seed + {offset})
        for step in range(2): repro.record(loss=2 - step + rng.normal(0, 0.1))
        repro.record(accuracy=0.9 + {shift} + rng.normal(0, 0.01), weights=rng.normal(size=3){record})
        repro.budget("accuracy", min=0)
"""


def module(offset: int = 0, shift: float = 0, seeds: Any = 20, more: str = "", record: str = "") -> str:
    return MODULE.format(offset=offset, shift=shift, seeds=seeds, more=more, record=record)


def baseline(result: Result) -> dict[str, Any]:
    found = result.report["tests"][0]["baseline"]
    assert isinstance(found, dict)
    return found


def test_a_sweep_is_stored_and_a_later_one_is_tested_against_it(project: Project) -> None:
    first = project(module(), "--repro-update").check(passed=1, says="1 entry written")
    rows = next(iter(json.loads(golden(first).read_text())["tests"]["test_it.py::test_a"].values()))
    stored = {(row["name"], row.get("step", 0)): row["sweep"] for row in rows if "sweep" in row}
    assert stored.keys() == {("loss", 1), ("accuracy", 0)}, "last steps of numbers"
    assert [seed for seed, _ in stored["loss", 1]] == list(range(20))
    same = project.again().check(passed=1, says="accuracy: shift 0, p 0.5 (one-sided: smaller is worse")
    assert "differing" not in baseline(same)
    other = project(module(offset=100)).check(passed=1, says="1 reproduced")
    other.check(says="not compared, as the sweep judges: loss[0], weights")
    assert baseline(other)["differing"] == ["loss[0]", "weights"]
    worse = project(module(offset=100, shift=-0.05)).check(failed=1)
    found = baseline(worse)["sweep"]["accuracy"]
    assert (found["side"], found["n"], found["reference_n"], found["alpha"]) == ("lower", 20, 20, 0.025)
    assert found["p"] < 1e-6
    assert found["seeds_needed"] < 20 > found["detectable"] > 0
    worse.check(says=["in the golden file, 0.8", f"{found['seeds_needed']} seeds find one of 0.048"])
    (mismatch,) = worse.report["tests"][0]["mismatches"]
    assert (mismatch["name"], mismatch["axis"], mismatch["problem"]) == ("accuracy", "baseline", "values")


def test_a_better_value_passes_and_an_update_stores_it(project: Project) -> None:
    result = project(module(), "--repro-update").check(passed=1)
    before = golden(result).read_bytes()
    project(module(offset=100), "--repro-update").check(passed=1, lacks="entry written")
    assert golden(result).read_bytes() == before, "no drift"
    project(module(shift=0.05)).check(passed=1, says="improved, --repro-update stores it")
    project.again("--repro-update").check(passed=1, says="1 entry written")
    project(module()).check(failed=1, says="accuracy differs from the golden file: shift -0.05")


def test_another_environment_has_the_same_distribution(project: Project) -> None:
    result = project(module(), "--repro-update").check(passed=1)
    elsewhere(result, python="CPython 2.7")
    line = "golden    no shift from the sweep of an environment that differs in python"
    same = project(module(offset=100)).check(passed=1, says=line)
    assert baseline(same)["environment_differs"] == ["python"]
    says = ["unlike     python: CPython", "accuracy: shift -0.0"]
    project(module(shift=-0.03)).check(failed=1, says=says)


def test_values_without_a_sweep_are_no_baseline(project: Project) -> None:
    project(module(), "--repro-seeds=0", "--repro-update").check(passed=1)
    result = project.again().check(failed=1, says="has values of it, but no sweep over seeds")
    result.check(says="no-baseline  test_it.py::test_a  __repro__/test_it.json has no sweep of this test")
    assert (result.verdicts, baseline(result)["lacks_sweep"]) == ({"test_a": "no-baseline"}, True)
    project.again("--repro-seeds=0").check(passed=1)
    project.again("--repro-seeds=1,2,5").check(says="--repro-update --repro-seeds=1,2,5")
    project.again("--repro-update").check(passed=1, says="1 entry written")
    project.again().check(passed=1)


def test_a_tolerance_of_the_values_counts_beside_the_sweep(project: Project) -> None:
    more = ", rtol=0, atol=0"
    project(module(more=more), "--repro-update").check(passed=1)
    project.again().check(passed=1)
    result = project(module(offset=100, more=more)).check(failed=1)
    names = [each["name"] for each in result.report["tests"][0]["mismatches"]]
    assert names == ["loss[0]", "loss[1]", "accuracy", "weights"]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (", f1=0.5", "f1   float   differs from the golden file\n    recorded here only"),
        (", extra=float('nan') if repro.seed in (3, 4) else 0.1 * repro.seed", "recorded here only"),
    ],
)
def test_a_new_value_needs_an_update(project: Project, record: str, says: str) -> None:
    project(module(), "--repro-update").check(passed=1)
    project(module(record=record)).check(failed=1, says=says)


def test_the_commands_name_the_seeds_of_the_command_line(project: Project) -> None:
    project(module(seeds=0), "--repro-seeds=1-6", "--repro-update").check(passed=1)
    result = project(module(seeds=0, shift=-0.1), "--repro-seeds=1-6").check(failed=1)
    replay = "replay     pytest test_it.py::test_a --repro-seed=0 --repro-runs=2 --repro-seeds=1-6"
    result.check(says=[replay, "accept     pytest test_it.py::test_a --repro-update --repro-seeds=1-6"])


def test_a_number_that_is_lost_under_a_seed_fails(project: Project) -> None:
    def recorded(text: str) -> str:
        return module(seeds=6, record=f", extra={text}")

    project(recorded("0.1 * repro.seed"), "--repro-update").check(passed=1)
    says = "not finite with seed 3, in the golden file with 0 of 6"
    project(recorded("float('nan') if repro.seed == 3 else 0.1 * repro.seed")).check(failed=1, says=says)
    says = "not finite with seeds 0, 1, 2, 3, 4, 5"
    project(recorded("float('inf')")).check(failed=1, says=says)
