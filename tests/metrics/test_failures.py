from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repro import metrics

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_none_of_thirty_may_be_nine_percent() -> None:
    found = metrics.failure_rate(0, 30)
    assert found.upper == pytest.approx(1 - 0.05 ** (1 / 30), rel=1e-14)
    assert found.interval == pytest.approx((0, 1 - 0.025 ** (1 / 30)))
    assert str(found) == "0 of 30 failed; P(fail) 0 %, up to 9.5 % (95 % confidence)"


@pytest.mark.parametrize(
    ("failed", "n", "low", "high"),
    [(2, 10, 0.0252, 0.5561), (10, 100, 0.0490, 0.1762), (10, 10, 0.6915, 1.0)],
)
def test_the_interval_is_that_of_the_tables(failed: int, n: int, low: float, high: float) -> None:
    assert metrics.failure_rate(failed, n).interval == pytest.approx((low, high), abs=6e-5)


def test_the_seeds_that_failed_are_named() -> None:
    found = metrics.failure_rate([7, 3, 7], 20)
    assert (found.failed, found.rate, found.seeds) == (2, 0.1, (3, 7))
    assert str(found).startswith("2 of 20 failed: seeds 3, 7; P(fail) 10 %, up to 28.3 %")


@settings(deadline=None)  # the first example imports scipy: 9 s on a busy machine
@given(counts, st.floats(0.5, 0.999))
def test_the_bounds_are_those_of_the_beta_distribution(count: tuple[int, int], confidence: float) -> None:
    beta = pytest.importorskip("scipy.stats").beta
    failed, n = count
    found = metrics.failure_rate(failed, n, confidence)
    missed = 1 - confidence
    upper, high = (1.0 if failed == n else beta.isf(m, failed + 1, n - failed) for m in (missed, missed / 2))
    low = 0.0 if failed == 0 else beta.ppf(missed / 2, failed, n - failed + 1)
    assert found.upper == pytest.approx(float(upper), rel=1e-9)
    assert found.interval == pytest.approx((float(low), float(high)), rel=1e-9)


@given(counts)
def test_failures_and_successes_mirror_each_other(count: tuple[int, int]) -> None:
    failed, n = count
    a, b = metrics.failure_rate(failed, n), metrics.failure_rate(n - failed, n)
    assert a.interval == pytest.approx((1 - b.interval[1], 1 - b.interval[0]))
    assert a.interval[0] <= a.rate <= a.upper <= a.interval[1]


def test_a_million_trials_are_no_trouble() -> None:
    found = metrics.failure_rate(500_000, 10**6)
    assert found.interval == pytest.approx((0.49902, 0.50098), abs=1e-5)


@pytest.mark.parametrize(
    ("failed", "n", "confidence", "error", "said"),
    [
        (3, 2, 0.95, ValueError, "failed=3: expected at most n=2"),
        (0, 0, 0.95, ValueError, "n=0: expected at least 1"),
        (-1, 2, 0.95, ValueError, "failed=-1: expected at least 0"),
        (0.5, 2, 0.95, TypeError, "failed is a float: expected an integer"),
        (0, 2, 95, ValueError, "confidence=95: expected a number between 0 and 1"),
    ],
)
def test_bad_counts_are_refused(
    failed: Any, n: Any, confidence: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        metrics.failure_rate(failed, n, confidence)
