from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

TRUTH = [0, 0, 0, 0, 1, 1]
RUNS = [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]]
# Class 0: 3, 3, 4 of 4; class 1: 2, 1, 0 of 2; all: 5, 4, 4 of 6.


def class_spread(runs: Any, truth: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.ConstantModelWarning)
        return metrics.class_spread(runs, truth)


def test_a_class_by_hand() -> None:
    found = class_spread(RUNS, TRUTH)
    zero, one = found.parts
    assert (found.runs, found.overall.n, zero.n, one.n) == (3, 6, 4, 2)
    assert (one.part, one.mean, one.std, one.min, one.max, one.range) == (1, 0.5, 0.5, 0, 1, 1)
    assert zero.std == pytest.approx(3**-0.5 / 4)
    assert found.overall.std == pytest.approx(3**-0.5 / 6)
    assert one.ratio == pytest.approx(3 * 3**0.5)
    assert found.widest is one
    assert str(one) == "1: n 2, mean 50 %, std 50 %, × 5.20, 0 % to 100 %"
    assert str(found).splitlines()[0] == (
        "accuracy over 3 runs, overall: n 6, mean 72.2 %, std 9.62 %, × 1.00, 66.7 % to 83.3 %"
    )
    assert len(str(found).splitlines()) == 3


def test_classes_may_move_where_the_whole_does_not() -> None:
    found = metrics.class_spread([[0, 0, 1, 0], [0, 1, 1, 1]], [0, 0, 1, 1])
    assert (found.overall.std, found.overall.ratio) == (0, None)
    assert [each.ratio for each in found.parts] == [None, None]
    assert [each.std for each in found.parts] == [pytest.approx(8**-0.5)] * 2


def test_subgroups_by_hand() -> None:
    truth = [1, 1, 0, 0, 1, 0]
    groups = ["a", "a", "a", "b", "b", "b"]
    runs = [[1, 0, 0, 1, 1, 0], [1, 1, 1, 0, 1, 0]]
    found = metrics.subgroup_rates(runs, truth, groups)
    # FPR: a 0 and 1 of 1, b 1 and 0 of 2, all 1 and 1 of 3. FNR: a 1 and 0 of 2, b 0 of 1, all 1 and 0 of 3.
    fpr = {each.part: (each.n, each.mean, each.min, each.max) for each in found.fpr.parts}
    assert fpr == {"a": (1, 0.5, 0, 1), "b": (2, 0.25, 0, 0.5)}
    assert (found.fpr.overall.std, found.fpr.parts[0].ratio) == (0, None)
    fnr = {each.part: (each.n, each.mean, each.ratio) for each in found.fnr.parts}
    assert fnr == {"a": (2, 0.25, pytest.approx(1.5)), "b": (1, 0, 0)}
    assert str(found).splitlines()[3].startswith("FNR over 2 runs, overall: n 3, mean 16.7 %, std 23.6 %")


def test_a_subgroup_without_negatives_has_no_fpr() -> None:
    found = metrics.subgroup_rates([["y", "n", "n"], ["n", "y", "n"]], ["y", "y", "n"], [0, 1, 1], "y")
    assert [each.part for each in found.fpr.parts] == [1]
    assert [each.part for each in found.fnr.parts] == [0, 1]


cases = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        *(st.lists(st.integers(0, 2), min_size=n, max_size=n) for _ in range(3)), st.just([*range(n)])
    )
)


@given(cases, st.randoms())
def test_spreads_add_up(case: Any, random: Any) -> None:
    first, second, truth, order = case
    found = class_spread([first, second], truth)
    assert sum(each.n for each in found.parts) == found.overall.n
    mean = sum(each.n * each.mean for each in found.parts) / found.overall.n
    assert mean == pytest.approx(found.overall.mean)
    for each in (found.overall, *found.parts):
        assert 0 <= each.min <= each.mean <= each.max <= 1
        assert each.std == pytest.approx(each.range / 2**0.5)  # of two runs
    random.shuffle(order)
    shuffled = class_spread([[run[i] for i in order] for run in (second, first)], [truth[i] for i in order])
    assert [(each.part, each.mean) for each in shuffled.parts] == [(e.part, e.mean) for e in found.parts]
    assert [each.std for each in shuffled.parts] == [pytest.approx(each.std) for each in found.parts]


def test_constant_models_are_told() -> None:
    with pytest.warns(metrics.ConstantModelWarning) as caught:
        metrics.class_spread(RUNS, TRUTH)
    assert caught[0].filename == __file__
    with pytest.warns(metrics.ConstantModelWarning) as caught:
        metrics.subgroup_rates(RUNS, TRUTH, TRUTH)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("truth", "error", "said"),
    [
        ([0, 1], ValueError, r"truth has shape \(2,\): expected \(3,\) as in predictions"),
        (["a", "b", "a"], TypeError, "truth has dtype <U1, predictions int64: both text or neither"),
        ([0, 0, 0], ValueError, "truth holds no 1: expected both kinds"),
        ([1, 1, 1], ValueError, "truth holds only 1: expected both kinds"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(truth: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.subgroup_rates([[0, 1, 0], [1, 1, 0]], truth, [0, 0, 1])
