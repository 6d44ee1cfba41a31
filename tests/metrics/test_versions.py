from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repro import metrics

scores = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30)


def pairs(wins: int, losses: int, ties: int = 0) -> tuple[list[float], list[float]]:
    return [2.0] * wins + [0.0] * losses + [1.0] * ties, [1.0] * (wins + losses + ties)


def test_the_papers_settings_need_29_seeds() -> None:
    assert metrics.seeds_needed() == 29
    assert metrics.seeds_needed(gamma=0.75, alpha=0.05, beta=0.05) == 29
    # ((1.6449 + 1.2816) / (2.4495 × 0.2))² = 35.7; twice as close needs four times as many.
    assert metrics.seeds_needed(0.7, 0.05, 0.1) == 36
    assert metrics.seeds_needed(0.6, 0.05, 0.1) == 143


def test_with_as_many_seeds_as_it_asks_for_it_finds_what_is_there() -> None:
    stats = pytest.importorskip("scipy.stats")
    for gamma, confidence in ((0.75, 0.95), (0.75, 0.99), (0.65, 0.95), (0.6, 0.9)):
        few = metrics.compare_versions(*pairs(2, 0), gamma=gamma, confidence=confidence)
        n = few.seeds_needed
        odds = stats.binom(n, gamma)
        found = (
            odds.pmf(wins)
            for wins in range(n // 2, n + 1)
            if stats.binomtest(wins, n, 0.5, "greater").pvalue <= (1 - confidence) / 2
        )
        assert 0.93 < sum(found) < 0.98
    assert metrics.compare_versions(*pairs(2, 0)).seeds_needed == 52


def test_of_two_infinities_neither_is_better() -> None:
    inf = float("inf")
    for larger in (True, False):
        found = metrics.compare_versions([inf, inf, 1.0], [inf, 1.0, 2.0], larger_is_better=larger)
        assert (found.wins, found.ties) == (1, 1)


@pytest.mark.parametrize(
    ("wins", "losses", "verdict"),
    [
        (28, 1, "significant and meaningful"),
        (23, 6, "significant and meaningful"),
        (16, 13, "not significant"),
        (1, 28, "not significant"),
    ],
)
def test_three_verdicts(wins: int, losses: int, verdict: str) -> None:
    found = metrics.compare_versions(*pairs(wins, losses))
    assert (found.n, found.wins, found.verdict) == (29, wins, verdict)


def test_many_seeds_can_show_a_difference_that_means_little() -> None:
    found = metrics.compare_versions(*pairs(600, 400))
    assert found.verdict == "significant, not meaningful"
    # A normal's interval: 0.6 ± 1.96 √(0.24 / 1000).
    assert (found.low, found.high) == pytest.approx((0.5696, 0.6304), abs=0.003)
    assert str(found).startswith("significant, not meaningful: P(A > B) 0.600, 95 % interval 0.5")


def test_too_few_seeds_are_told() -> None:
    found = metrics.compare_versions(*pairs(5, 0))
    assert (found.p_better, found.low, found.high) == (1, 1, 1)
    assert found.verdict == "not significant"
    assert found.sign_test_p == pytest.approx(1 / 32)
    assert str(found).endswith("(n 5, 5 differ, fewer than 6 are never significant, 52 seeds needed)")
    assert str(metrics.compare_versions(*pairs(6, 0, 1))).endswith("gamma 0.75 (n 7, 52 seeds needed)")
    tied = metrics.compare_versions(*pairs(5, 0, 40))
    assert str(tied).endswith("(n 45, 5 differ, fewer than 6 are never significant, 52 seeds needed)")


@pytest.mark.parametrize(("confidence", "least"), [(0.95, 6), (0.875, 4), (0.99, 8)])
def test_from_how_many_wins_on_all_of_them_are_significant(confidence: float, least: int) -> None:
    found = [metrics.compare_versions(*pairs(n, 0), confidence=confidence) for n in (least - 1, least)]
    assert [each.verdict for each in found] == ["not significant", "significant and meaningful"]
    assert ["never" in str(each) for each in found] == [True, False]


@pytest.mark.parametrize("n", [2, 3, 5, 7, 8, 29, 50])
def test_equal_versions_are_seldom_significant(n: int) -> None:
    by_wins = [metrics.compare_versions(*pairs(wins, n - wins)) for wins in range(n + 1)]
    chances = [math.comb(n, wins) / 2**n for wins in range(n + 1)]
    found = sum(p for p, each in zip(chances, by_wins) if each.verdict != "not significant")
    assert found <= 0.025
    for wins, each in enumerate(by_wins):
        assert each.sign_test_p == pytest.approx(sum(chances[wins:]))


def test_that_the_other_is_better_is_pointed_at() -> None:
    told = str(metrics.compare_versions(*pairs(1, 28)))
    assert told.endswith("; B is better with 28 of 29: compare_versions(b, a) tests that")
    assert "sign test 1, gamma" in told
    assert "compare_versions" not in str(metrics.compare_versions(*pairs(14, 14)))


def test_values_are_paired_by_seed() -> None:
    a, b = {1: 0.9, 2: 0.8, 7: 0.7}, {7: 0.6, 2: 0.8, 1: 0.95}
    found = metrics.compare_versions(a, b)
    assert (found.wins, found.ties, found.p_better) == (1, 1, 0.5)
    loss = metrics.compare_versions(a, b, larger_is_better=False)
    assert (loss.wins, loss.ties, loss.p_better) == (1, 1, 0.5)


@given(scores)
@settings(deadline=None)
def test_a_over_b_mirrors_b_over_a(given: Any) -> None:
    a, b = ([float(each) for each in column] for column in zip(*given))
    one, two = metrics.compare_versions(a, b), metrics.compare_versions(b, a)
    assert one.p_better == pytest.approx(1 - two.p_better)
    assert one.p_better == pytest.approx(np.mean([(x > y) + (x == y) / 2 for x, y in given]))
    assert 0 <= one.low <= one.p_better <= one.high <= 1
    assert "not significant" in (one.verdict, two.verdict)
    assert metrics.compare_versions(b, a, larger_is_better=False) == one
    monotone = metrics.compare_versions([math.exp(x) for x in a], [math.exp(y) for y in b])
    assert monotone == one


def test_the_seed_decides_and_no_generator_moves() -> None:
    before = np.random.get_state(legacy=False)
    a, b = pairs(60, 40)
    first, again, other = (metrics.compare_versions(a, b, resamples=50, seed=s) for s in (0, 0, 1))
    assert first == again != other
    assert str(np.random.get_state(legacy=False)) == str(before)


def test_the_interval_is_that_of_resampled_pairs() -> None:
    a, b = pairs(14, 6, 5)
    rng = np.random.default_rng(3)
    worth = np.array([1.0] * 14 + [0.0] * 6 + [0.5] * 5)
    means = worth[rng.integers(25, size=(20_000, 25))].mean(axis=1)
    found = metrics.compare_versions(a, b, confidence=0.9)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.05, 0.95]), abs=0.021)


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "said"),
    [
        ([1.0], [2.0], {}, ValueError, "a holds 1: expected 2 or more"),
        ([1.0, 2.0], [2.0], {}, ValueError, "a holds 2, b 1, and 1 is in one only: expected the same seeds"),
        ({1: 1.0, 2: 2.0}, {1: 1.0, 3: 2.0}, {}, ValueError, "a holds 2, b 2, and 2 is in one only"),
        ({"a": 1, 2: 2}, {1: 1, 3: 2}, {}, TypeError, "a seed of a is a str: expected an integer"),
        ({1: 1, 3: 2}, {1: 1, None: 2}, {}, TypeError, "a seed of b is a NoneType: expected an integer"),
        ({1: 1.0}, [1.0], {}, TypeError, "two mappings of seed to value, or two sequences"),
        (None, None, {}, TypeError, "two mappings of seed to value, or two sequences"),
        ([1.0, math.nan], [1.0, 2.0], {}, ValueError, r"a\[1\] or b\[1\] is NaN"),
        ([1.0, "a"], [1.0, 2.0], {}, TypeError, r"a\[1\] is a str"),
        (
            [1.0, 2.0],
            [1.0, 2.0],
            {"gamma": 0.5},
            ValueError,
            "gamma=0.5: expected a number between 0.5",
        ),
        ([1.0, 2.0], [1.0, 2.0], {"confidence": 95}, ValueError, "confidence=95"),
        ([1.0, 2.0], [1.0, 2.0], {"resamples": 0}, ValueError, "resamples=0: expected at least 1"),
    ],
)
def test_bad_values_are_refused(a: Any, b: Any, options: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.compare_versions(a, b, **options)


def test_seeds_needed_refuses_errors_that_are_no_errors() -> None:
    with pytest.raises(ValueError, match=r"alpha=0.6, beta=0.5: expected less than 1 together"):
        metrics.seeds_needed(0.75, 0.6, 0.5)
