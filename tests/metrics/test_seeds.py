from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations
from statistics import stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

numbers = st.floats(-1e6, 1e6).map(lambda v: v if abs(v) > 1e-100 else 0.0)  # squares must not vanish
values = st.lists(numbers, min_size=2, max_size=20).map(lambda v: dict(enumerate(v)))
# On a grid of eighths sums and products are exact: a shift changes no digit of a difference.
exact = st.lists(st.integers(-800, 800), min_size=2, max_size=20).map(
    lambda v: {i: n / 8 for i, n in enumerate(v)}
)


@pytest.mark.parametrize(
    ("n", "published"),
    [(2, 1.128), (3, 1.693), (4, 2.059), (5, 2.326), (6, 2.534), (7, 2.704), (8, 2.847), (9, 2.970),
     (10, 3.078), (15, 3.472), (20, 3.735), (25, 3.931)],
)  # fmt: skip
def test_expected_range_is_that_of_the_control_chart_tables(n: int, published: float) -> None:
    assert metrics.expected_range(n) == pytest.approx(published, abs=6e-4)


def test_expected_range_is_exact_to_the_last_digits() -> None:
    assert metrics.expected_range(2) == pytest.approx(2 / math.sqrt(math.pi), rel=1e-15)
    assert metrics.expected_range(3) == pytest.approx(3 / math.sqrt(math.pi), rel=1e-15)
    # By adaptive quadrature with 30 digits.
    assert metrics.expected_range(100) == pytest.approx(5.01518727288336874503598778415, rel=1e-14)
    assert metrics.expected_range(10**6) == pytest.approx(9.72579497239292544247347396186, rel=1e-14)


@given(st.integers(2, 5000))
def test_expected_range_grows_ever_more_slowly(n: int) -> None:
    a, b, c = (metrics.expected_range(n + i) for i in range(3))
    assert 0 < c - b < b - a


def test_a_sweep_by_hand() -> None:
    found = metrics.sweep({3: 4.0, 1: 2.0, 2: 9.0})
    assert found.values == ((1, 2.0), (2, 9.0), (3, 4.0))
    assert (found.n, found.mean, found.min, found.max, found.range) == (3, 5.0, 2.0, 9.0, 7.0)
    assert found.std == pytest.approx(math.sqrt(13))  # (9 + 16 + 1) / 2
    assert found.range_ratio == pytest.approx(7 / (3 / math.sqrt(math.pi) * math.sqrt(13)))
    assert str(found) == "n 3, mean 5, std 3.61, min 2, max 9, range 7 (1.15 of a normal's)"


def test_an_outlier_by_hand() -> None:
    # Median 0.90, distances 0.01, 0.00, 0.01, 0.02, 0.40: MAD 0.01, scores 0.67, 0, 0.67, 1.3, 27.
    found = metrics.sweep({0: 0.91, 1: 0.90, 2: 0.89, 3: 0.92, 4: 0.50})
    assert found.outliers == (4,)
    assert str(found).endswith("outliers: seed 4")


def test_where_most_are_equal_the_mean_distance_is_the_scale() -> None:
    one = dict.fromkeys(range(19), 0.9) | {19: 0.8}
    assert metrics.sweep(one).outliers == (19,)
    # Distances 0 × 18, 0.1 and 0.1: 0.1 / (1.2533 × 0.01) = 8; × 15, 0.1 × 5: 0.1 / (1.2533 × 0.025) = 3.2,
    # which is no outlier, but would be one if the mean distance were taken for the std.
    assert metrics.sweep(dict.fromkeys(range(18), 0.9) | {18: 0.8, 19: 1.0}).outliers == (18, 19)
    assert metrics.sweep(dict.fromkeys(range(15), 0.9) | dict.fromkeys(range(15, 20), 0.8)).outliers == ()
    # Distances 0 × 12 and 0.1 × 8: a score of 0.1 / (1.2533 × 0.04) = 2.0, no outliers.
    coarse = dict.fromkeys(range(12), 0.9) | {seed: 0.8 + 0.2 * (seed % 2) for seed in range(12, 20)}
    assert metrics.sweep(coarse).outliers == ()


def test_what_is_not_finite_is_named_and_left_out() -> None:
    found = metrics.sweep({0: 1.0, 1: math.nan, 2: 3.0, 3: math.inf})
    assert (found.n, found.mean, found.not_finite) == (2, 2.0, (1, 3))
    assert str(found).endswith("not finite: seeds 1, 3")


@given(values)
def test_a_sweep_agrees_with_exact_arithmetic(found: dict[int, float]) -> None:
    told, exactly = metrics.sweep(found), [Fraction(each) for each in found.values()]
    mean = sum(exactly) / len(exactly)
    std = math.sqrt(sum((each - mean) ** 2 for each in exactly) / (len(exactly) - 1))
    scale = max(map(abs, found.values()))
    assert told.mean == pytest.approx(float(mean), abs=1e-12 * scale)
    assert told.std == pytest.approx(std, abs=1e-12 * scale)
    assert told.min <= told.mean + 1e-12 * scale
    assert told.range <= told.std * math.sqrt(2 * (told.n - 1)) * (1 + 1e-9) + 1e-12 * scale


@given(exact, st.integers(-100, 100), st.sampled_from([-4, -0.5, 2, 64]))
def test_outliers_are_those_of_the_shifted_and_scaled_values(
    found: dict[int, float], shift: int, scale: float
) -> None:
    moved = {seed: scale * value + shift for seed, value in found.items()}
    before, after = metrics.sweep(found), metrics.sweep(moved)
    assert after.outliers == before.outliers
    assert after.std == pytest.approx(abs(scale) * before.std)
    if before.range_ratio is not None:
        assert after.range_ratio == pytest.approx(before.range_ratio)


def test_the_ratio_of_normals_is_about_one() -> None:
    rng = np.random.default_rng(0)
    ratios = [metrics.sweep(dict(enumerate(rng.normal(size=30)))).range_ratio for _ in range(200)]
    assert np.mean([each for each in ratios if each is not None]) == pytest.approx(1, abs=0.03)


def test_equal_values_have_no_ratio_and_no_outliers() -> None:
    found = metrics.sweep({0: 0.1, 1: 0.1, 2: 0.1})
    assert (found.std, found.range_ratio, found.outliers) == (0.0, None, ())


def test_a_tensor_counts_as_its_number() -> None:
    torch = pytest.importorskip("torch")
    given: Any = {0: torch.tensor(1.0, requires_grad=True), 1: np.float32(2)}
    assert metrics.sweep(given).mean == 1.5


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ([1.0, 2.0], TypeError, "values is a list: expected a mapping of seed to value"),
        ({0: "a", 1: 2.0}, TypeError, r"values\[0\] is a str: expected a number"),
        ({"a": 1.0, 1: 2.0}, TypeError, "a seed of values is a str: expected an integer"),
        ({-1: 1.0, 1: 2.0}, ValueError, "a seed of values=-1: expected at least 0"),
        ({0: 1.0}, ValueError, "values holds 1 finite of 1: expected at least 2"),
        ({0: 1.0, 1: math.nan}, ValueError, "values holds 1 finite of 2: expected at least 2"),
    ],
)
def test_bad_values_are_refused(given: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.sweep(given)


@pytest.mark.parametrize(("n", "error"), [(1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_expected_range_wants_two_or_more(n: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="n"):
        metrics.expected_range(n)


ACCURACY = {0: 0.91, 1: 0.90, 2: 0.92, 3: 0.91, 4: 0.50, 5: 0.93}


def test_a_budget_that_is_kept() -> None:
    found = metrics.budget({0: 0.90, 1: 0.92}, range=0.02, min=0.90, max=0.92)
    assert found.within_budget  # though 0.92 - 0.90 is 0.020000000000000018
    assert found.seeds == ()
    assert str(found).startswith("within budget: n 2, mean 0.91")


def test_a_budget_that_is_broken_names_the_seeds() -> None:
    found = metrics.budget(ACCURACY, std=0.02, range=0.02, min=0.9, max=0.92)
    assert [(each.rule, each.seeds) for each in found.breaches] == [
        ("std", (4,)), ("range", (4, 5)), ("min", (4,)), ("max", (5,)),
    ]  # fmt: skip
    assert not found.within_budget
    assert found.seeds == (4, 5)
    assert str(found).startswith(
        "over budget: std 0.1693 > 0.02: seed 4; range 0.43 > 0.02: seeds 4, 5; "
        "min 0.5 < 0.9: seed 4; max 0.93 > 0.92: seed 5 (n 6"
    )


def test_what_is_not_finite_breaks_every_budget() -> None:
    found = metrics.budget({0: 1.0, 1: math.nan, 2: 1.0}, max=2.0)
    assert [(each.rule, each.seeds) for each in found.breaches] == [("finite", (1,))]
    assert str(found).startswith("over budget: not finite: seed 1 (n 2")


def test_a_sweep_can_be_checked_as_well() -> None:
    swept = metrics.sweep(ACCURACY)
    assert metrics.budget(swept, min=0.9) == metrics.budget(ACCURACY, min=0.9)


_grid = st.lists(st.integers(0, 12), min_size=2, max_size=7).map(lambda v: dict(enumerate(map(float, v))))


@given(_grid, st.sampled_from(["std", "range"]), st.floats(0, 6))
def test_the_fewest_seeds_are_blamed(values: dict[int, float], rule: str, allowed: float) -> None:
    def spread(seeds: tuple[int, ...]) -> float:
        kept = [values[seed] for seed in seeds]
        return (stdev(kept) if rule == "std" else max(kept) - min(kept)) if len(kept) > 1 else 0.0

    limits: Any = {rule: allowed}
    found = metrics.budget(values, **limits)
    most = max(
        n for n in range(1, len(values) + 1)
        if any(spread(each) <= allowed + 1e-12 for each in combinations(values, n))
    )  # fmt: skip
    assert found.within_budget == (most == len(values))
    assert len(found.seeds) == len(values) - most
    rest = tuple(seed for seed in values if seed not in found.seeds)
    assert spread(rest) <= allowed + 1e-12


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "no limit is given"),
        ({"std": -1.0}, "std=-1: expected a number that is not negative"),
        ({"min": math.nan}, "min=nan: expected a number"),
    ],
)
def test_bad_rules_are_refused(limits: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        metrics.budget(ACCURACY, **limits)
