"""pytest-rerunfailures: never retries a mismatch away, and reruns a failure as often as before."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs, plain

pytestmark = needs("pytest_rerunfailures")

#: Values differ within the first protocol only: a rerun would find them equal.
ONCE = """
import itertools
counter = itertools.count()
def test_a(repro):
    repro.record(x=min(next(counter), 1))
"""


@pytest.mark.parametrize("args", [["--reruns=2"], ["--reruns=2", "--only-rerun=NotReproducible"]])
def test_a_mismatch_is_not_retried_away(project: Project, args: list[str]) -> None:
    result = project(ONCE, *args, plugins=["rerunfailures"]).check(failed=1, passed=0)
    assert result.verdicts == {"test_a": "diverged"}


@pytest.mark.parametrize("fails", [{0}, {1}, {0, 1}], ids=["first", "last", "both"])
def test_nor_is_an_outcome_that_differs(project: Project, fails: set[int]) -> None:
    # Where both runs fail and the rerun passes, the test has failed and has passed: not reproducible.
    result = project(
        f"""
        import itertools
        counter = itertools.count()
        def test_a(repro):
            repro.record(x=1)
            assert next(counter) not in {fails}
        """,
        "--reruns=2", plugins=["rerunfailures"],
    ).check(failed=1, passed=0)  # fmt: skip
    assert result.verdicts == {"test_a": "diverged"}


def test_a_failure_is_rerun_as_often_as_without(project: Project) -> None:
    project.write(conftest=LOG)
    source = """
        import numpy as np, pytest
        from conftest import log
        @pytest.mark.reproducible
        def test_a():
            log("ran")
            x = np.ones(3)
            assert 0
    """
    result = project(source, "--reruns=2", plugins=["rerunfailures"]).check(failed=1, rerun=2)
    assert result.verdicts == {"test_a": "failed"}
    rehearsals = len(logged(project)) - 3
    plain(project, "--reruns=2", plugins=["rerunfailures"]).check(failed=1, rerun=2)
    assert len(logged(project)) == 3
    assert rehearsals == 1
