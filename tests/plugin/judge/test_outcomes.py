"""Outcomes: what a run did, what the test then is, and whose failure is shown."""

from __future__ import annotations

import pytest

from tests.conftest import Project

FLAKY = """
import itertools, pytest
calls = itertools.count()
def test_a(repro):
    repro.record(a=1)
    assert next(calls) != {run}, "boo"
"""


@pytest.mark.parametrize("run", [0, 1, 2])
def test_one_broken_run_shows_its_exception(project: Project, run: int) -> None:
    result = project(FLAKY.format(run=run), "--repro-runs=3").check(
        failed=1, says=["is not reproducible", f"run {run + 1} failed:", "AssertionError: boo", "replay"]
    )
    (test,) = result.report["tests"]
    assert [each["outcome"] for each in test["runs"]] == [
        "failed" if n == run else "passed" for n in range(3)
    ]
    assert {"outcome"} == {each["problem"] for each in test["mismatches"]}


def test_failing_in_each_run_is_pytests_own_failure(project: Project) -> None:
    result = project(
        """
        import os
        def test_a(repro):
            repro.record(x=os.urandom(4))
            x = 3
            assert x == 4
        """
    ).check(failed=1, says=["assert 3 == 4", "failed in each of 2 runs"], lacks="not reproducible")
    assert result.verdicts == {"test_a": "failed"}


def test_another_exception_is_another_outcome(project: Project) -> None:
    project(
        """
        import itertools
        calls = itertools.count()
        def test_a(repro):
            raise [ValueError, KeyError][next(calls)]("x")
        """
    ).check(failed=1, says="run 1 failed (ValueError: x), run 2 failed (KeyError: 'x')")


def test_the_failing_test_shows_no_frame_of_ours(project: Project) -> None:
    for style in ("auto", "long", "short", "native", "line"):
        project("def test_a(repro):\n    raise ValueError('mine')", f"--tb={style}").check(
            failed=1, lacks=["pytest_repro/", "item_runner.py"], says="mine"
        )


def test_xfail_and_skip_keep_their_meaning(project: Project) -> None:
    result = project(
        """
        import os, pytest
        def diverge(repro): repro.record(x=os.urandom(4))
        @pytest.mark.xfail
        def test_diverged(repro): diverge(repro)
        @pytest.mark.xfail(strict=True)
        def test_strict_diverged(repro): diverge(repro)
        @pytest.mark.xfail(strict=True)
        def test_strict_fails(repro): assert 0
        @pytest.mark.xfail
        def test_passes(repro): repro.record(x=1)
        @pytest.mark.xfail(strict=True)
        def test_strict_passes(repro): repro.record(x=1)
        @pytest.mark.xfail(run=False)
        def test_not_run(repro): assert 0
        @pytest.mark.xfail(raises=ValueError)
        def test_raises(repro): diverge(repro)
        @pytest.mark.skip
        def test_skipped(repro): assert 0
        def test_skips(repro): pytest.skip("why")
        def test_xfails(repro): pytest.xfail("why")
        """
    ).check(xfailed=5, xpassed=1, failed=2, skipped=2, says="XPASS(strict)")
    assert result.verdicts == {
        "test_diverged": "diverged",
        "test_strict_diverged": "diverged",
        "test_strict_fails": "failed",
        "test_passes": "reproduced",
        "test_strict_passes": "reproduced",
        "test_not_run": "skipped",
        "test_raises": "diverged",
        "test_skipped": "skipped",
        "test_skips": "skipped",
        "test_xfails": "failed",
    }


def test_a_fixture_that_breaks_in_a_later_run_is_told(project: Project) -> None:
    result = project(
        """
        import pytest, itertools
        calls = itertools.count()
        @pytest.fixture
        def port():
            if next(calls): raise OSError("port in use")
        def test_a(port, repro): repro.record(x=1)
        """
    ).check(errors=1, says=["port in use", "run 1 passed, run 2 failed"])
    (test,) = result.report["tests"]
    assert test["verdict"] == "diverged"
    assert [run["outcome"] for run in test["runs"]] == ["passed", "failed"]
    assert [each["problem"] for each in test["mismatches"]] == ["outcome"]


def test_a_teardown_that_breaks_in_a_rehearsal_is_not_lost(project: Project) -> None:
    project(
        """
        import pytest, itertools
        calls = itertools.count()
        @pytest.fixture
        def file():
            yield
            if next(calls) == 0: raise OSError("still open")
        def test_a(file, repro): repro.record(x=1)
        """
    ).check(passed=1, errors=1, says=["tear-down failed in run 1", "still open"])


def test_a_skip_in_one_run_only_is_a_difference(project: Project) -> None:
    project(
        """
        import pytest, itertools
        calls = itertools.count()
        def test_a(repro):
            repro.record(x=1)
            if next(calls): pytest.skip("second time")
        """
    ).check(failed=1, says="run 1 passed, run 2 skipped (second time)")


def test_ctrl_c_ends_the_session_and_restores(project: Project) -> None:
    project.write(
        conftest="""
        import random, pytest
        def pytest_sessionstart(): random.seed(5)
        def pytest_sessionfinish():
            ours = random.random(); random.seed(5); random.random()
            print("restored" if ours == random.random() else "not restored")
        """
    )
    project(
        """
        import random
        def test_before(): assert random.random()
        def test_a(repro):
            random.random()
            raise KeyboardInterrupt
        """,
        "-s",
        subprocess=True,
    ).check(exit=2, says=["KeyboardInterrupt", ".restored"])


def test_stopping_and_choosing_work_as_ever(project: Project) -> None:
    source = """
        import os
        def test_a(repro): repro.record(x=os.urandom(4))
        def test_b(repro): repro.record(x=1)
    """
    project(source, "-x").check(failed=1, passed=0)
    project(source, "--collect-only").check(exit=0, says="test_a", lacks="reproducibility")
    project(source, "--setup-plan").check(exit=0, lacks="diverged")
    project(source, "-k", "test_b").check(passed=1, deselected=1)
    shown = project(source, "--setup-show", "-k", "test_b").check(passed=1)
    assert shown.text.count("SETUP    F repro") == 1
