from __future__ import annotations

import math
import warnings
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


weights = st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3).filter(
    lambda w: math.hypot(*w) > 1e-3
)


def test_distances_by_hand() -> None:
    runs = [{"w": np.array([3.0, 0.0]), "b": np.array(4.0)}, {"w": np.array([0.0, 0.0]), "b": np.array(2.0)}]
    assert metrics.l2(runs) == math.sqrt(13)
    assert metrics.l2_normalised(runs) == pytest.approx(math.sqrt(0.6**2 + 0.2**2))
    found = metrics.weight_distances([*runs, runs[0]])
    assert (found.runs, found.weights, found.l2_max) == (3, 3, math.sqrt(13))
    assert found.l2 == pytest.approx(2 / 3 * math.sqrt(13))
    assert str(found) == (
        "L2 2.404 (at most 3.606), normalised 0.4216 (at most 0.6325; unrelated ≈ 1.41), 3 runs × 3 weights"
    )


def test_unrelated_weights_are_about_root_two_apart() -> None:
    rng = np.random.default_rng(0)
    assert metrics.l2_normalised(rng.normal(size=(4, 10_000))) == pytest.approx(math.sqrt(2), abs=0.02)


@given(weights, weights, weights)
def test_both_are_distances(a: Any, b: Any, c: Any) -> None:
    for distance, most in ((metrics.l2, math.inf), (metrics.l2_normalised, 2 + 1e-12)):
        assert distance([a, a]) == 0
        assert distance([a, b]) == distance([b, a])
        assert 0 <= distance([a, b]) <= most
        assert distance([a, c]) <= (distance([a, b]) + distance([b, c])) * (1 + 1e-9) + 1e-12
        three = (distance([a, b]) + distance([a, c]) + distance([b, c])) / 3
        assert distance([a, b, c]) == pytest.approx(three)


@given(weights, weights, st.floats(0.01, 100))
def test_a_factor_matters_to_one_of_them_only(a: Any, b: Any, factor: float) -> None:
    x, y = np.array(a), np.array(b)
    assert metrics.l2([factor * x, factor * y]) == pytest.approx(factor * metrics.l2([x, y]), abs=1e-9)
    assert metrics.l2_normalised([factor * x, y]) == pytest.approx(metrics.l2_normalised([x, y]), abs=1e-9)
    assert metrics.l2_normalised([x, -factor * x]) == pytest.approx(2)


def test_of_a_module_the_parameters_count_of_a_state_dict_all_that_floats() -> None:
    torch = pytest.importorskip("torch")
    a, b = (torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)) for _ in range(2))
    b.load_state_dict(a.state_dict())
    b[1].running_mean += 3
    b[1].num_batches_tracked += 100
    assert metrics.l2([a, b]) == 0
    assert metrics.l2([a.state_dict(), b.state_dict()]) == pytest.approx(math.sqrt(18))
    assert metrics.weight_distances([a, b]).weights == 10
    with torch.no_grad():
        b[0].bias += 1
    assert metrics.l2([a, b]) == pytest.approx(math.sqrt(2))
    assert metrics.l2([list(a.parameters()), list(b.parameters())]) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e5m2", "complex64"])
def test_dtypes_that_numpy_has_or_has_not(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    given = [torch.tensor([0.0, 4.0]).to(getattr(torch, dtype)), torch.zeros(2).to(getattr(torch, dtype))]
    assert metrics.l2(given) == 4


def test_layouts_of_tensors() -> None:
    torch = pytest.importorskip("torch")
    dense = torch.tensor([[0.0, 3.0], [4.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # they are to be removed
        quantised = torch.quantize_per_tensor(dense, 1.0, 0, torch.quint8)
    for each in (dense.to_sparse(), dense.T.contiguous().T, quantised, dense.conj()):
        assert metrics.l2([each, torch.zeros(2, 2)]) == 5


@pytest.mark.parametrize(
    ("runs", "error", "said"),
    [
        ({"w": [1.0]}, TypeError, "runs is a dict: expected a sequence of the weights of runs"),
        ([[1.0]], ValueError, "runs holds 1: expected 2 or more"),
        ([{"n": np.array([1])}] * 2, ValueError, r"runs\[0\] holds no weights"),
        ([{"w": [1.0]}, {"w": [1.0], "b": [1.0]}], ValueError,
         r"runs\[1\] has shape \(1,\) at 'b', runs\[0\] has nothing"),
        ([[np.ones(2)], [np.ones(3)]], ValueError,
         r"runs\[1\] has shape \(3,\) at '0', runs\[0\] has shape \(2,\)"),
        ([[1.0], [math.nan]], ValueError, r"runs\[1\]\['0'\] holds a NaN"),
        ([["a"], ["b"]], TypeError, r"runs\[0\]\['0'\] has dtype <U1: expected numbers"),
        ([[None], [1.0]], TypeError, r"runs\[0\]\[0\] is a NoneType"),
    ],
)  # fmt: skip
def test_what_are_no_weights_is_refused(runs: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.l2(runs)


def test_zeros_have_no_direction() -> None:
    assert metrics.l2([[0.0], [1.0]]) == 1
    with pytest.raises(ValueError, match=r"runs\[0\] holds only zeros"):
        metrics.l2_normalised([[0.0], [1.0]])


def test_the_largest_weights_have_a_direction() -> None:
    huge = np.full(3, 1e300)
    assert metrics.l2_normalised([huge, -huge]) == pytest.approx(2)
    assert metrics.l2([huge, 2 * huge]) == pytest.approx(math.sqrt(3) * 1e300)
