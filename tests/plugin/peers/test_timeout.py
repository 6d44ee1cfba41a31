"""pytest-timeout: bounds each run by itself, rehearsals as well."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs

pytestmark = needs("pytest_timeout")


def test_each_run_has_the_time_for_itself(project: Project) -> None:
    result = project(
        """
        import time, pytest
        @pytest.mark.reproducible(runs=10)
        def test_a(repro):
            time.sleep(0.4)
            repro.record(x=1)
        """,
        "--timeout=3", "--timeout-method=signal", plugins=["timeout"],
    ).check(passed=1)  # fmt: skip
    assert result.verdicts == {"test_a": "reproduced"}


@pytest.mark.parametrize("hangs", [0, 1])
def test_a_run_that_hangs_is_stopped_there(project: Project, hangs: int) -> None:
    project.write(conftest=LOG)
    result = project(
        f"""
        import time
        from conftest import log
        def test_a(repro):
            log(repro.run)
            repro.record(x=1)
            if repro.run == {hangs}:
                time.sleep(300)
        """,
        "--timeout=3", "--timeout-method=signal", "--repro-diagnose=never", plugins=["timeout"],
    ).check(failed=1, says="Timeout (>3.0s) from pytest-timeout")  # fmt: skip
    assert logged(project) == ["0", "1"]
    (test,) = result.report["tests"]
    assert test["verdict"] == "diverged"
    outcomes = [run["outcome"] for run in test["runs"]]
    assert outcomes == ["failed" if run == hangs else "passed" for run in range(2)]
