from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics
from pytest_repro.core.compare.sweep_comparison import ShiftSide
from pytest_repro.metrics.sweeps.comparison import compute_tail, solve_quantile

degrees = st.floats(1, 1e5)


@given(st.floats(-1e3, 1e3), degrees)
def test_tails_are_those_of_scipy(t: float, degrees: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    # Near 0 the one of scipy is off by 1e-8, with one degree of freedom.
    assert math.isclose(compute_tail(t, degrees), stats.t.sf(t, degrees), rel_tol=1e-7, abs_tol=1e-300)


@given(st.floats(1e-6, 0.5), degrees)
def test_a_quantile_has_its_tail(tail: float, degrees: float) -> None:
    assert math.isclose(compute_tail(solve_quantile(tail, degrees), degrees), tail, rel_tol=1e-9)


def test_one_degree_of_freedom_is_the_cauchy_distribution() -> None:
    for t in (0.0, 1e-9, 0.3, 1.0, 50.0):
        assert math.isclose(compute_tail(t, 1), 0.5 - math.atan(t) / math.pi, rel_tol=1e-12)
    assert (compute_tail(math.inf, 3), compute_tail(-math.inf, 3)) == (0, 1)


numbers = st.floats(-1e6, 1e6)


def by_seed(values: Any) -> dict[int, float]:
    return {seed: float(value) for seed, value in enumerate(values)}


def sweeps_of(size: int) -> st.SearchStrategy[dict[int, float]]:
    return st.lists(numbers, min_size=2, max_size=size).map(by_seed)


@pytest.mark.parametrize(("n", "reference_n"), [(3, 4), (9, 9), (19, 8), (40, 49), (50, 20)])
@pytest.mark.parametrize(
    ("side", "alternative"), [("lower", "less"), ("upper", "greater"), ("both", "two-sided")]
)
def test_p_is_that_of_yuens_test(n: int, reference_n: int, side: ShiftSide, alternative: str) -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(n)
    a, b = rng.standard_t(3, n), rng.normal(0.5, 2, reference_n)
    found = metrics.compare_sweeps(by_seed(a), by_seed(b), side)
    trimmed = [0 if len(each) < 5 else 1 if len(each) < 40 else len(each) // 10 for each in (a, b)]
    means = [np.sort(each)[cut : len(each) - cut].mean() for each, cut in zip((a, b), trimmed)]
    np.testing.assert_allclose([found.mean, found.reference_mean], means)
    np.testing.assert_allclose([found.std, found.reference_std], [np.std(each, ddof=1) for each in (a, b)])
    if len({cut / len(each) for each, cut in zip((a, b), trimmed)}) == 1:  # scipy trims the same share
        share = trimmed[0] / n
        expected = stats.ttest_ind(a, b, trim=share, equal_var=False, alternative=alternative)
        assert math.isclose(found.p, expected.pvalue, rel_tol=1e-9)


def test_scipy_trims_both_as_here() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for n, share in ((5, 0.2), (20, 0.05), (40, 0.1), (100, 0.1)):
        a, b = rng.normal(size=(2, n))
        expected = stats.ttest_ind(a, b, trim=share, equal_var=False, alternative="less").pvalue
        assert math.isclose(metrics.compare_sweeps(by_seed(a), by_seed(b), "lower").p, expected, rel_tol=1e-9)


DRAWS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(3, size=shape),
    "skewed": lambda rng, shape: rng.lognormal(size=shape),
    "shares of 20": lambda rng, shape: rng.binomial(20, 0.9, shape) / 20,
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("n", [5, 20])
def test_sweeps_that_do_not_differ_are_seldom_told_apart(name: str, n: int) -> None:
    pairs = DRAWS[name](np.random.default_rng(0), (400, 2, n))
    found = [metrics.compare_sweeps(by_seed(a), by_seed(b), "lower").p for a, b in pairs]
    # 0.05 and 3 standard errors of 400 draws.
    assert np.mean([p <= 0.05 for p in found]) <= 0.083
    assert np.mean([min(p, 1 - p) <= 0.025 for p in found]) <= 0.083


@pytest.mark.parametrize(("n", "side"), [(10, "lower"), (10, "upper"), (20, "both"), (40, "lower")])
def test_what_it_says_it_finds_it_finds(n: int, side: ShiftSide) -> None:
    """A shift of the size that so many seeds are said to find 80 % of the time."""
    shift = next(size for size in np.arange(0.3, 5, 0.01) if metrics.seeds_to_detect(size, 1, side) <= n)
    signed = shift if side == "upper" else -shift
    pairs = np.random.default_rng(0).normal(size=(400, 2, n))
    found = [metrics.compare_sweeps(by_seed(a + signed), by_seed(b), side) for a, b in pairs]
    assert 0.74 < np.mean([each.significant for each in found]) < 0.86
    assert abs(np.median([each.detectable for each in found]) / shift - 1) < 0.1


def test_more_seeds_find_smaller_shifts() -> None:
    assert [metrics.seeds_to_detect(1, 1, side) for side in ("both", "lower", "upper")] == [17, 14, 14]
    # Of a large number, a normal distribution: 2 (1.645 + 0.842)² / shift².
    assert metrics.seeds_to_detect(0.01, 1, "lower") == math.ceil(2 * (1.6448536 + 0.8416212) ** 2 / 1e-4)
    assert metrics.seeds_to_detect(5, 0) == 2


@given(sweeps_of(30), sweeps_of(30))
def test_the_sides_mirror_each_other(a: dict[int, float], b: dict[int, float]) -> None:
    lower, upper, both = (metrics.compare_sweeps(a, b, side) for side in ("lower", "upper", "both"))
    assert math.isclose(lower.p + upper.p, 1)
    assert math.isclose(both.p, min(1.0, 2 * min(lower.p, upper.p)), abs_tol=1e-12)
    reverse = metrics.compare_sweeps(b, a, "upper")
    assert (reverse.shift, reverse.p) == (-lower.shift, lower.p)
    assert lower.improved == (1 - lower.p <= 0.05)


@given(sweeps_of(30))
def test_a_sweep_has_not_shifted_from_itself(values: dict[int, float]) -> None:
    other = dict(zip(values, reversed(values.values())))  # which seed has which value does not matter
    for side in ("lower", "upper", "both"):
        found = metrics.compare_sweeps(values, other, side)
        assert (found.shift, found.significant, found.improved, found.seeds_needed) == (0, False, False, None)
        assert found.p >= 0.5


def test_one_outlier_at_either_end_has_no_say() -> None:
    values = [0.9, 0.91, 0.92, 0.93, 0.94]
    wild = metrics.compare_sweeps(by_seed([-1e9, *values[1:-1], 1e9]), by_seed(values))
    assert (wild.mean, wild.reference_mean, wild.significant) == (0.92, 0.92, False)


def test_values_that_do_not_scatter() -> None:
    same = metrics.compare_sweeps({0: 1, 1: 1}, {5: 1, 6: 1})
    assert (same.p, same.detectable, same.seeds_needed) == (1, 0, None)
    moved = metrics.compare_sweeps({0: 1, 1: 1}, {0: 2, 1: 2}, "lower")
    assert (moved.p, moved.significant, moved.seeds_needed) == (0, True, 2)


TEXT = (
    "shifted: trimmed mean 0.8795 (n 10, std 0.00741), reference 0.8985 (n 20, std 0.00873); "
    "shift -0.0191, p 1.1e-05 (one-sided: smaller is worse; significant up to 0.05); "
    "this many seeds find a shift of 0.0082 in 80 % of sweeps; 4 seeds find one of 0.019"
)


def test_the_text() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(0.9, 0.01, 20), rng.normal(0.88, 0.01, 10)
    assert str(metrics.compare_sweeps(by_seed(new), by_seed(old), "lower")) == TEXT


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (({0: 1.0}, {0: 1, 1: 2}), "values holds 1: expected at least 2"),
        (({0: 1, 1: 2}, {0: 1, 3: math.nan}), r"reference\[3\]=nan: expected finite numbers"),
        (({0: 1, 1: 2}, {0: 1, 1: 2}, "left"), "side='left': expected 'lower', 'upper' or 'both'"),
        (({0: 1.7e308, 1: -1.7e308},) * 2, "expected numbers whose variance is finite"),
    ],
)
def test_bad_input_is_named(arguments: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        metrics.compare_sweeps(*arguments)


def test_bad_levels_and_shifts_are_named() -> None:
    with pytest.raises(ValueError, match=r"alpha=0\.5, power=0\.8: expected below 0\.5, and 0\.5 or more"):
        metrics.seeds_to_detect(1, 1, alpha=0.5)
    with pytest.raises(ValueError, match="shift=0, std=1: expected a shift above 0, and a std from 0"):
        metrics.seeds_to_detect(0, 1)
    with pytest.raises(TypeError, match="values is a list: expected a mapping of seed to value"):
        metrics.compare_sweeps([1.0, 2.0], {0: 1, 1: 2})  # type: ignore[arg-type]
