"""Tests that run in another interpreter as a whole: the only value of an axis needs one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_repro import check
from pytest_repro.axes import get_axis
from pytest_repro.plugin.remote.protocol_server import to_plain_data
from tests.conftest import Project

SPEC = f"popen//python={sys.executable}"
x86 = pytest.mark.skipif(bool(get_axis("isa").why_unavailable("default")), reason="isa is for x86")
HEAD = f"""
    import os, pytest, warnings
    from pathlib import Path
    SPEC = {SPEC!r}
    there = pytest.mark.reproducible(machine=SPEC)
    PARENT = os.environ.setdefault("REPRO_TEST_PARENT", str(os.getpid()))
    def in_other_process():
        return PARENT != str(os.getpid())
"""


@pytest.fixture(autouse=True)
def _main_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_TEST_PARENT", "")
    monkeypatch.delenv("REPRO_TEST_PARENT")  # set by the session, and removed after the test


def test_all_runs_and_their_reports_come_from_there(project: Project) -> None:
    source = f"""{HEAD}
    @pytest.fixture(scope="module")
    def made():
        print("made once")
        yield os.getpid()
        Path("ended").write_text(str(os.getpid()))
    @there
    def test_passes(repro, made, record_property):
        assert in_other_process() and made == os.getpid()
        print("run", repro.run, *repro.setting.values())
        record_property("shown", 3)
        warnings.warn("once", UserWarning)
        repro.record(x=1)
    @there
    def test_fails(repro):
        print("before")
        assert not in_other_process()
    @there
    @pytest.mark.xfail(reason="known", strict=True)
    def test_xfails(repro):
        assert not in_other_process()
    @there
    def test_skips(repro):
        pytest.skip("not now")
    @there
    class TestMore:
        def test_locals(self, tmp_path):
            (tmp_path / "a").write_text("x")
            import numpy as np
            x = np.ones(3) * in_other_process()
    def test_here(): assert not in_other_process()
    """
    result = project(source, "-rA", "--junitxml=junit.xml")
    says = ["Captured stdout call", f"run 1 {SPEC}", "in each of 2 runs", "1 warning"]
    result.check(passed=3, failed=1, xfailed=1, skipped=1, says=says)
    assert result.text.count("made once") == result.text.count("UserWarning: once") == 1
    assert [*result.verdicts.values()] == ["reproduced", "failed", "failed", "skipped", "reproduced"]
    first = result.report["tests"][0]
    assert first["plan"]["vary"] == {"machine": [SPEC]}
    assert [(run["axis"], run["value"], run["setting"]) for run in first["runs"]] == [
        ("repeat", 0, {"machine": SPEC}),
        ("repeat", 1, {"machine": SPEC}),
    ]
    junit = Path("junit.xml").read_text()
    assert junit.count('<property name="shown" value="3" />') == 1
    assert junit.count("<testcase") == 6
    assert Path("ended").exists()


def test_a_difference_between_the_runs_is_diagnosed_there(project: Project) -> None:
    source = f"""{HEAD}
    import numpy as np
    @there
    def test_draws(repro):
        rng = np.random.default_rng()
        repro.record(x=rng.random(3), there=in_other_process())
    """
    project.inquires = True
    result = project(source).check(failed=1)
    assert result.report["tests"][0]["cause"]["name"] == "os-entropy"
    lines = result.text.splitlines()
    assert f"test_it.py::test_draws is not reproducible (bit for bit, 2 runs, seed 0, on {SPEC})" in lines
    replay = "pytest test_it.py::test_draws --repro-seed=0 --repro-runs=2"
    assert f"  replay     {replay} --repro-vary=machine={SPEC}" in lines
    assert "  unlike" not in result.text


def test_seeds_golden_files_and_other_axes_take_part(project: Project) -> None:
    source = f"""{HEAD}
    @pytest.mark.reproducible(machine=SPEC, seeds=3)
    def test_seeds(repro):
        assert in_other_process()
        repro.record(x=float(repro.rng().random()))
    @pytest.mark.reproducible(machine=SPEC, baseline=True)
    def test_golden(repro): repro.record(x=repro.rng().random(3), there=in_other_process())
    @pytest.mark.reproducible(machine=SPEC, process=1, order=1)
    def test_varied(repro): repro.record(there=in_other_process())
    """
    project(source, "--repro-update").check(passed=3, says=["1 entry written", "of 3 failed"])
    result = project.again().check(passed=3)
    assert set(result.verdicts.values()) == {"reproduced"}
    runs = result.report["tests"][2]["runs"]
    assert [run["axis"] for run in runs] == ["repeat", "repeat", "order", "process"]
    assert {run["setting"]["machine"] for run in runs} == {SPEC}
    assert result.report["tests"][0]["sweep"]["kept"] is True


@x86
def test_the_golden_file_has_the_environment_of_that_interpreter(project: Project) -> None:
    source = """
    import os, numpy as np, pytest
    @pytest.mark.reproducible(isa="default", baseline=True)
    def test_golden(repro):
        assert os.environ["OPENBLAS_CORETYPE"] == "Nehalem"
        repro.record(x=np.ones(3))
    """
    project(source, "--repro-update").check(passed=1)
    assert '"numpy blas kernels": "Nehalem"' in Path("__repro__/test_it.json").read_text()
    project.again().check(passed=1, lacks="golden    ")


def test_an_interpreter_that_is_lost_fails_its_tests_only(project: Project) -> None:
    source = f"""{HEAD}
    @there
    @pytest.mark.xfail
    def test_dies(repro):
        os._exit(3)
    @there
    def test_lives(repro): repro.record(x=in_other_process())
    @pytest.mark.reproducible(machine="popen//python=no-such-python")
    def test_nowhere(repro): repro.record(x=1)
    @pytest.mark.reproducible(machine="popen//python=no-such-python")
    @pytest.mark.skip(reason="never")
    def test_skipped(repro): repro.record(x=1)
    """
    result = project(source, "--junitxml=junit.xml").check(passed=1, failed=2, skipped=1)
    assert [*result.verdicts.values()] == ["failed", "reproduced", "failed", "skipped"]
    lost = f"test_it.py::test_dies was not compared: the companion for {SPEC} died while it ran the test"
    assert f"{lost} (exit status 3)" in result.text
    assert "the companion for popen//python=no-such-python could not be started: " in result.text
    run = result.report["tests"][0]["runs"][0]
    assert (run["axis"], run["setting"]) == ("repeat", {"machine": SPEC})
    assert run["reason"].endswith("(exit status 3)")
    assert Path("junit.xml").read_text().count("<failure") == 2


def test_an_unavailable_value_skips_the_test_and_an_exit_ends_the_session(project: Project) -> None:
    project.write(conftest="import platform\nplatform.machine = lambda: 'arm64'")
    source = f"""{HEAD}
    @pytest.mark.reproducible(isa="avx2")
    def test_unavailable(repro): repro.record(x=1)
    @there
    def test_exits(repro): pytest.exit("enough", 5)
    @there
    def test_late(repro): repro.record(x=1)
    """
    result = project(source, "-rs")
    reason = "avx2 is an x86 instruction set, this machine is arm64"
    result.check(skipped=1, says=[f"nothing was run: isa avx2: {reason}", "Exit: enough"], exit=5)
    assert result.verdicts == {"test_unavailable": "skipped"}


@x86
def test_two_such_axes_lead_from_one_interpreter_to_the_next(project: Project) -> None:
    source = f"""{HEAD}
    @pytest.mark.reproducible(machine=SPEC, isa="default")
    def test_both(repro):
        assert in_other_process() and os.environ["ATEN_CPU_CAPABILITY"] == "default"
        repro.record(x=1)
    """
    result = project(source, subprocess=True).check(passed=1)
    assert result.report["tests"][0]["runs"][1]["setting"] == {"isa": "default", "machine": SPEC}


def test_check_calls_the_function_there_only(write_module: Callable[[str, str], Any]) -> None:
    module = write_module(
        "called_elsewhere",
        """
        import os, numpy as np
        def pids(parent): return os.getpid() == parent
        def draws(): return np.random.default_rng().random(3)
        def breaks(): raise ValueError('no')
        """,
    )
    verdict = check(module.pids, os.getpid(), machine=SPEC, process=True)
    assert (verdict.outcome, [run.axis for run in verdict.runs]) == (
        "reproduced",
        ["repeat", "repeat", "process"],
    )
    compared = check(module.pids, os.getpid(), machine=("here", SPEC), diagnose="never")
    assert compared.outcome == "diverged"
    verdict = check(module.draws, machine=SPEC)
    assert verdict.cause is not None
    assert (verdict.outcome, verdict.cause.name) == ("diverged", "os-entropy")
    assert (verdict.mismatches[0].difference is not None, verdict.runs[0].setting) == (
        True,
        {"machine": SPEC},
    )
    verdict = check(module.breaks, machine=SPEC)
    assert (verdict.outcome, str(verdict.error)) == (
        "failed",
        f"in an interpreter with {SPEC}: ValueError: no",
    )


def test_plain_data_keeps_what_execnet_sends() -> None:
    class Text(str):
        __slots__ = ()

    value = {"a": (1, [2.5, None]), Text("b"): Text("c"), "path": Path("x"), "bytes": b"\0", "bad": "\ud800"}
    assert to_plain_data(value) == {
        "a": (1, [2.5, None]), "b": "c", "path": "x", "bytes": b"\0", "bad": "\\ud800",
    }  # fmt: skip
    assert type(to_plain_data(Text("b"))) is str
