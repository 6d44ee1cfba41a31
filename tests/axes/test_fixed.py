"""One value of an axis: everything runs at it, and nothing is varied."""

from __future__ import annotations

import pytest

from pytest_repro import check
from pytest_repro.core.compare.verdict import Verdict
from tests.conftest import Project

torch = pytest.importorskip("torch")

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a cuda device")


def get_settings(verdict: Verdict) -> list[object]:
    return [(run.axis, dict(run.setting)) for run in verdict.runs]


def test_every_run_has_the_value_and_each_source_gives_it(project: Project) -> None:
    source = """
        import pytest, torch
        @pytest.mark.reproducible(threads=1, dtype=("float64",))
        def test_marker(repro): repro.record(x=torch.ones(2), n=torch.get_num_threads())
        def test_other(repro): repro.record(x=torch.ones(2), n=torch.get_num_threads())
    """
    project.ini("[tool.pytest.ini_options]\nrepro_vary = ['threads=3']")
    result = project(source, "--repro-vary=device=cpu")
    marker, other = result.check(passed=2, says=", 2 runs, with 3 threads, on cpu\n").report["tests"]
    assert marker["plan"]["vary"] == {"threads": [1], "dtype": ["float64"], "device": ["cpu"]}
    assert other["plan"]["vary"] == {"threads": [3], "device": ["cpu"]}
    settings = [(run["axis"], run["setting"]) for run in other["runs"]]
    assert settings == [("repeat", {"threads": 3, "device": "cpu"})] * 2
    assert marker["observations"][0]["kind"] == "float64[2]"
    assert [each["observations"][1]["values"] for each in (marker, other)] == [[1], [3]]
    result = project.again("--repro-vary=threads=2", "--repro-vary=process")
    result.check(passed=2, says=", with 2 threads, varied: process\n")
    vary = {"threads": [2], "dtype": ["float64"], "process": [0, 1]}
    assert result.report["tests"][0]["plan"]["vary"] == vary


def test_a_failure_and_its_replay_line_name_the_value(project: Project) -> None:
    source = """
        import os, pytest, torch
        @pytest.mark.reproducible(threads=4, memory=0, process=True)
        def test_a(repro): repro.record(x=os.urandom(2))
    """
    text = project(source, "--repro-diagnose=never").check(failed=1).text
    how = "bit for bit, 2 runs, seed 0, with 4 threads, with 0 in fresh memory, varied: process"
    assert f"test_it.py::test_a is not reproducible ({how})\n" in text
    options = "--repro-vary=threads=4 --repro-vary=memory=0 --repro-vary=process=1"
    assert f"pytest test_it.py::test_a --repro-seed=0 --repro-runs=2 {options}\n" in text


@NO_CUDA
def test_a_value_that_this_machine_lacks_skips_the_test_with_the_reason(project: Project) -> None:
    source = """
        import pytest
        @pytest.mark.reproducible(device="cuda")
        def test_plain(repro): repro.record(x=1)
        @pytest.mark.reproducible(device="cpu", threads=4)
        def test_without_torch(repro): repro.record(x=1)
        @pytest.mark.reproducible(device="cuda", process=True)
        def test_lazy(repro): repro.record(x=__import__("torch").ones(2))
        @pytest.mark.reproducible(device="cuda")
        def test_eager(repro): repro.record(x=1)
    """
    result = project(source, "-rs", subprocess=True)
    result.check(
        passed=1,
        skipped=3,
        says=[
            "nothing was compared: device cuda: torch is not imported",
            "nothing was run: device cuda: torch finds no cuda device on this machine",
        ],
    )
    assert [*result.verdicts.values()] == ["skipped", "reproduced", "skipped", "skipped"]
    assert [run["axis"] for run in result.report["tests"][2]["runs"]] == ["repeat", "device"]


@NO_CUDA
def test_check_takes_one_value() -> None:
    before = torch.get_num_threads()
    verdict = check(torch.get_num_threads, threads=before + 1)
    assert (verdict.outcome, get_settings(verdict)) == (
        "reproduced",
        [("repeat", {"threads": before + 1})] * 2,
    )
    assert torch.get_num_threads() == before
    verdict = check(lambda: torch.ones(2), device="cuda", process=True)
    assert (verdict.outcome, get_settings(verdict)) == (
        "skipped",
        [("device", {"device": "cuda", "process": 0})],
    )
