"""``repro_control``: one run more with another seed shows what does not depend on it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_repro.plugin.extra_runs.seed_check import choose_other_seed
from tests.conftest import Project, Result
from tests.plugin.peers import needs

ON = "-orepro_control=true"
SOURCE = """
import functools, random, numpy as np, pytest
@functools.lru_cache
def data(): return np.random.rand(3)
def test_cached(repro): repro.record(x=data())
def test_draws(repro): repro.record(x=np.random.rand(1000))
def test_asks(repro): repro.record(x=repro.rng().random())
def test_seeded(repro, seeded): repro.record(x=np.random.default_rng().random(), seed=seeded)
@pytest.mark.reproducible
def test_locals(): x = np.random.rand(3)
def test_constant(repro): repro.record(x=1)
@pytest.mark.filterwarnings("ignore::pytest_repro.SeedUnusedWarning")
def test_constant_and_says_so(repro): repro.record(x=1)
@pytest.mark.reproducible(seed=2**32 - 1)
def test_fails(repro):
    repro.record(x=1)
    assert repro.seed > 0
@pytest.mark.reproducible(runs=1)
def test_once(): pass
@pytest.mark.skip
def test_skipped(repro): pass
@pytest.mark.xfail
@pytest.mark.reproducible
def test_nothing(): random.random()
def test_plain(): pass
"""
UNUSED = "does not depend on the seed: cached?"
SAME = f"SeedUnusedWarning: {UNUSED} Seeds 0 and 1 give equal results, bit for bit"
CACHED, CONSTANT = (
    f"{SAME}, although random numbers were drawn. ",
    f"{SAME}, and no seeded generator was used. ",
)


def controls(result: Result) -> dict[str, Any]:
    return {test["nodeid"].partition("::")[2]: test.get("control") for test in result.report["tests"]}


WORDS = {
    "test_cached": "unchanged", "test_draws": "changed", "test_asks": "changed", "test_seeded": "changed",
    "test_locals": "changed", "test_constant": "unchanged", "test_constant_and_says_so": "unchanged",
    "test_fails": "changed", "test_skipped": None, "test_nothing": None,
}  # fmt: skip


def check(result: Result) -> None:
    result.check(passed=10, skipped=1, warnings=2, exit=0, says=[CACHED, CONSTANT])
    assert controls(result) == WORDS
    told = [line for line in result.text.splitlines() if line.startswith("seed check ")]
    assert sorted(told) == [
        f"seed check test_it.py::test_cached  {UNUSED}",
        f"seed check test_it.py::test_constant  {UNUSED}",
        "seed check test_it.py::test_fails  fails with seed 0: AssertionError: assert 0 > 0",
    ]
    runs = {test["nodeid"]: len(test["runs"]) for test in result.report["tests"]}
    assert set(runs.values()) - {1} == {2}
    assert not any("control_note" in test for test in result.report["tests"])


def test_a_seed_that_changes_nothing_is_told(project: Project) -> None:
    check(project(SOURCE, ON, subprocess=True))


@needs("xdist")
def test_under_workers(project: Project) -> None:
    check(project(SOURCE, ON, "-n2", plugins=["xdist"]))


def test_unasked_there_is_none(project: Project) -> None:
    result = project(SOURCE).check(passed=10, skipped=1, lacks=["SeedUnused", "seed check "])
    assert set(controls(result).values()) == {None}


def test_as_an_error_it_fails_the_test_by_its_text(project: Project) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_control = true\nfilterwarnings = ['error']")
    result = project("def test_a(repro): repro.record(x=1)").check(failed=1, says=CONSTANT, lacks="runner.py")
    assert result.verdicts == {"test_a": "reproduced"}


def test_an_audit_asks_no_test_to_be_random(project: Project) -> None:
    source = """
        import functools, numpy as np
        @functools.lru_cache
        def data(): return np.random.rand(3)
        def test_constant(): x = np.ones(3)
        def test_cached(): x = data()
    """
    result = project(source, ON, "--repro-all", subprocess=True)
    result.check(passed=2, warnings=1, says=[CACHED, f"test_cached  {UNUSED}"])


def test_the_last_run_is_as_without_it(project: Project) -> None:
    project(
        """
        import pytest, random, warnings
        seen = []
        @pytest.fixture(scope="module")
        def wide(): return random.random()
        @pytest.fixture
        def narrow(): return random.random()
        @pytest.mark.reproducible(runs=3)
        def test_a(wide, narrow, repro, record_property, capsys):
            seen.append((repro.seed, narrow, random.random()))
            if repro.seed: warnings.warn("only with another seed")
            record_property("seed", repro.seed)
            repro.record(x=(wide, narrow, seen[-1]))
        def test_after(wide):
            assert [seed for seed, *_ in seen] == [0, 0, 1, 0]
            assert len(set(seen)) == 2
            assert wide == random.Random(0).random()
        """,
        ON,
        subprocess=True,
    ).check(passed=2, lacks=["only with another seed", "seed check "])


def test_what_it_leaves_behind_is_no_puzzle(project: Project) -> None:
    project(
        """
        left = [0]
        def test_a(repro):
            repro.record(x=left[0])
            left[0] = repro.seed
        """,
        ON,
        "--repro-diagnose=never",
    ).check(failed=1, says="the seed check ran with seed 1 before the last run")


@needs("hypothesis")
def test_examples_are_drawn_from_the_other_seed(project: Project) -> None:
    result = project(
        """
        import pytest
        from hypothesis import given, seed, settings, strategies as st
        @settings(derandomize=False)  # which is Hypothesis's own choice where CI is set
        @given(n=st.integers())
        def test_a(repro, n): repro.record(n=n)
        @settings(derandomize=True)
        @given(n=st.integers())
        def test_b(repro, n): repro.record(n=n)
        @seed(3)
        @settings(derandomize=False)
        @given(n=st.integers())
        def test_c(repro, n): repro.record(n=n)
        """,
        ON,
        plugins=["hypothesispytest"],
    ).check(passed=3, lacks="SeedUnused")
    assert controls(result) == {"test_a": "changed", "test_b": "unchanged", "test_c": "unchanged"}


@pytest.mark.parametrize(("seed", "next_one"), [(0, 1), (2**32 - 1, 0)])
def test_the_other_seed_is_a_seed(seed: int, next_one: int) -> None:
    assert choose_other_seed(seed) == next_one
