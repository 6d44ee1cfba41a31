from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

odd = st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf])
pairs = st.lists(st.tuples(odd | st.floats(), odd | st.floats()), min_size=1, max_size=10)
# Below 1e150 neither a difference nor its share of the reference overflows.
usual = st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-3)
usual_pairs = st.lists(st.tuples(usual, usual), min_size=1, max_size=10)


def test_both_by_hand() -> None:
    a, b = [[1.0, 2.0], [-4.0, 0.0]], [[1.0, 3.0], [-3.0, 0.0]]
    assert metrics.v_c(a, b) == 0.5
    assert metrics.ermv(a, b) == (0 + 1 / 2 + 1 / 4 + 0) / 4
    assert metrics.ermv(b, a) == pytest.approx((0 + 1 / 3 + 1 / 3 + 0) / 4)


@given(pairs)
def test_what_equals_itself_does_not_vary(given: Any) -> None:
    a, b = (np.array(each) for each in zip(*given))
    assert metrics.v_c(a, a) == metrics.ermv(a, a) == 0
    assert metrics.v_c(a, b) == metrics.v_c(b, a)
    equal = [x == y or (math.isnan(x) and math.isnan(y)) for x, y in given]
    assert metrics.v_c(a, b) == pytest.approx(1 - sum(equal) / len(equal))
    assert not metrics.ermv(a, b) < 0


@given(usual_pairs, st.sampled_from([-8, 0.25, 2]))
def test_relative_variation_has_no_unit(given: Any, factor: float) -> None:
    a, b = (np.array(each) for each in zip(*given))
    assert metrics.ermv(factor * a, factor * b) == metrics.ermv(a, b)
    assert metrics.ermv(a, b) == pytest.approx(sum(abs(x - y) / abs(x) for x, y in given) / len(given))


def test_what_the_reference_cannot_measure() -> None:
    assert metrics.ermv([0.0, 1.0], [1.0, 1.0]) == math.inf
    assert math.isnan(metrics.ermv([1.0, 1.0], [math.nan, 1.0]))
    assert metrics.v_c([0.0], [-0.0]) == 0


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "float32", "bfloat16"])
def test_any_dtype(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    a, b = (torch.tensor(each, dtype=getattr(torch, dtype)) for each in ([1, 1, 1, 1], [1, 0, 1, 0]))
    assert metrics.v_c(a, b) == metrics.ermv(a, b) == 0.5


@pytest.mark.parametrize(
    ("a", "b", "error", "said"),
    [
        ([1.0], [1.0, 2.0], ValueError, r"reference has shape \(1,\), other has \(2,\): expected one shape"),
        ([], [], ValueError, "with elements"),
        (["a"], [1.0], TypeError, "reference has dtype <U1: expected numbers"),
        ([1.0], {}, TypeError, "other is a dict"),
    ],
)
def test_what_cannot_be_compared_is_refused(a: Any, b: Any, error: type[Exception], said: str) -> None:
    for measure in (metrics.v_c, metrics.ermv):
        with pytest.raises(error, match=said):
            measure(a, b)
