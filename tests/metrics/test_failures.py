from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repro import metrics
from pytest_repro.metrics.failures import _solve_tolerance_factor

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


@pytest.mark.parametrize(
    ("n", "fails", "confidence", "published"),
    [  # one-sided tolerance factors of a normal, as tabulated
        (5, 0.05, 0.95, 4.203), (10, 0.05, 0.95, 2.911), (30, 0.05, 0.95, 2.220), (10, 0.01, 0.95, 3.981),
        (2, 0.05, 0.95, 26.260), (43, 0.10, 0.99, 1.8740),
    ],
)  # fmt: skip
def test_the_factor_of_a_normal_is_that_of_the_tables(
    n: int, fails: float, confidence: float, published: float
) -> None:
    assert _solve_tolerance_factor(n, fails, confidence) == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.9999])
@pytest.mark.parametrize("n", [2, 3, 9, 10, 100])
def test_the_factor_is_the_quantile_of_a_noncentral_t(n: int, confidence: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = stats.nct.ppf(confidence, n - 1, n**0.5 * stats.norm.ppf(0.95)) / n**0.5
    assert _solve_tolerance_factor(n, 0.05, confidence) == pytest.approx(
        float(expected), rel=1e-6 if confidence > 0.99 else 1e-8
    )


def test_fifty_nine_seeds_tell_without_a_distribution() -> None:
    values = {seed: float(seed) for seed in range(59)}
    found = metrics.suggested_bound(values)
    assert (found.method, found.bound, found.seeds_needed) == ("order", 0.0, 59)
    assert metrics.suggested_bound(values, "upper").bound == 58.0
    fewer = metrics.suggested_bound({seed: values[seed] for seed in range(58)})
    assert fewer.method == "normal"
    # The second smallest of 93 is the first that will do (Wilks: 93 for the second, 124 for the third).
    ranks = [metrics.suggested_bound({s: float(s) for s in range(n)}).bound for n in (92, 93, 123, 124)]
    assert ranks == [0.0, 1.0, 1.0, 2.0]


def test_a_bound_of_few_seeds_by_hand() -> None:
    found = metrics.suggested_bound({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0, 4: 5.0})
    assert found.bound == pytest.approx(3 - 4.2027 * 2.5**0.5, abs=1e-3)
    assert str(found) == (
        "value >= -3.64502 fails for at most 5 % of seeds (95 % confidence, n 5, assuming a normal "
        "distribution; 59 seeds need no assumption)"
    )


@pytest.mark.parametrize(("n", "draw"), [(10, "normal"), (60, "exponential"), (100, "uniform")])
def test_bounds_hold_as_often_as_is_told(n: int, draw: str) -> None:
    rng = np.random.default_rng(1)
    true = {"normal": -1.6448536, "exponential": 0.05129329, "uniform": 0.05}[draw]
    samples = (getattr(rng, draw)(size=n) for _ in range(400))
    held = [metrics.suggested_bound(dict(enumerate(each))).bound <= true for each in samples]
    assert 0.92 < np.mean(held) < 1


@settings(deadline=None)  # the factor of a new n takes 10 to 200 ms
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=80))
def test_the_upper_bound_mirrors_the_lower_one(values: list[float]) -> None:
    lower = metrics.suggested_bound(dict(enumerate(values)))
    upper = metrics.suggested_bound({i: -value for i, value in enumerate(values)}, "upper")
    assert upper.bound == -lower.bound
    assert lower.bound <= max(values) + 1e-9


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ({0: 1.0}, {}, "values holds 1: expected at least 2"),
        ({0: 1.0, 5: float("nan")}, {}, r"values\[5\]=nan: expected finite"),
        ({0: 1.0, 1: 2.0}, {"side": "left"}, "side='left': expected 'lower' or 'upper'"),
        ({0: 1.0, 1: 2.0}, {"confidence": 0.99999}, "confidence=0.99999: expected at most 0.9999"),
        ({0: 1.0, 1: 2.0}, {"fails": 0}, "fails=0: expected a number between 0 and 1"),
    ],
)
def test_bad_values_are_refused(given: Any, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        metrics.suggested_bound(given, **options)
