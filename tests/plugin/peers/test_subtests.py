"""The fixture ``subtests`` of pytest itself: each one counted once."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import plain

pytestmark = pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="came with pytest 9.0")

SOURCE = """
import itertools
import numpy as np, pytest
counter = itertools.count()
@pytest.mark.reproducible(runs=3)
def test_passing(subtests):
    values = np.ones(3)
    for n in range(3):
        with subtests.test(n=n):
            assert n < 3
@pytest.mark.reproducible(runs=3)
def test_failing(subtests):
    values = np.ones(3)
    for n in range(3):
        with subtests.test(n=n):
            assert n != 1
@pytest.mark.reproducible
def test_skipping(subtests):
    values = np.ones(3)
    with subtests.test("skipped"):
        pytest.skip("today")
"""


@pytest.mark.parametrize("args", [[], ["-v"]])
def test_counted_once(project: Project, args: list[str]) -> None:
    result = project(SOURCE, *args)
    assert result.verdicts == {
        "test_passing": "reproduced",
        "test_failing": "failed",
        "test_skipping": "reproduced",
    }
    without = plain(project, *args)
    assert result.run.parseoutcomes() == without.run.parseoutcomes()
    assert result.text.count("SUBFAILED") == without.text.count("SUBFAILED") > 0


@pytest.mark.parametrize("run", [0, 1])
def test_one_that_fails_in_one_run_only(project: Project, run: int) -> None:
    result = project(
        f"""
        def test_a(repro, subtests):
            repro.record(x=1)
            with subtests.test("sometimes"):
                assert repro.run != {run}
        """
    ).check(says="not reproducible")
    assert result.verdicts == {"test_a": "diverged"}
    assert result.run.ret == 1
