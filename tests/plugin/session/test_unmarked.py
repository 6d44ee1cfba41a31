"""A test that is not marked has a row if an assertion of the package fails in it."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs


@pytest.mark.parametrize("workers", ["", pytest.param("-n2", marks=needs("xdist"))])
def test_a_failed_assertion_counts(project: Project, workers: str) -> None:
    args, plugins = ([workers], ["xdist"]) if workers else ([], [])
    result = project(
        """
        import random, pytest
        from pytest_repro import NotReproducible, assert_distinct_draws, assert_no_draws

        @pytest.fixture
        def drawing():
            with assert_no_draws():
                random.random()

        def test_draws():
            assert_distinct_draws({1: [0.5], 2: [0.5]})

        def test_fixture(drawing): pass

        @pytest.mark.xfail
        def test_expected():
            assert_distinct_draws({1: [0.5], 2: [0.5]})

        def test_caught():
            with pytest.raises(NotReproducible):
                assert_distinct_draws({1: [0.5], 2: [0.5]})

        def test_holds():
            assert_distinct_draws({1: [0.5], 2: [0.25]})

        def test_other(): assert False
        """,
        "--repro-html=page.html", *args, plugins=plugins,
    ).check(
        failed=2, errors=1, passed=2, xfailed=1,
        says=[
            "2 compared (2 diverged), 0 observed nothing\n",
            "diverged  test_it.py::test_draws  draws: 1 distinct of 2 draws, the same: 1, 2\n",
        ],
        lacks=["distinct_draws.py", "draws.py:"],
    )  # fmt: skip
    assert result.verdicts == {"test_draws": "diverged", "test_fixture": "diverged"}
    assert "draws: 1 distinct of 2 draws" in (project.pytester.path / "page.html").read_text("utf-8")
