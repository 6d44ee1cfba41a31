from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

THREE = [[0, 1, 2, 2], [0, 1, 1, 2], [1, 0, 1, 2]]
# Pairs differ in 1, 3 and 2 of 4 items.


@st.composite
def predictions(draw: Any) -> Any:
    runs, items = draw(st.integers(2, 5)), draw(st.integers(2, 8))
    label = st.integers(0, 2)
    found = draw(st.lists(st.lists(label, min_size=items, max_size=items), min_size=runs, max_size=runs))
    return np.array([[*run, 0, 1] for run in found])  # no run is constant


def test_three_runs_by_hand() -> None:
    assert metrics.churn(THREE) == 0.5
    assert metrics.agreement(THREE) == 0.5
    assert metrics.disagreement(THREE).tolist() == [[0, 0.25, 0.75], [0.25, 0, 0.5], [0.75, 0.5, 0]]
    found = metrics.stability(THREE)
    assert (found.largest, found.pair, found.unanimous, found.constant) == (0.75, (0, 2), 0.25, ())
    assert str(found) == (
        "churn 50 %, agreement 50 % (3 runs × 4 items), largest 75 % between runs 0 and 2, all runs agree on "
        "25 %"
    )


def test_runs_that_agree_have_no_churn() -> None:
    found = metrics.stability([["cat", "dog"], ["cat", "dog"]])
    assert (found.churn, found.agreement, found.largest, found.pair) == (0, 1, 0, (0, 1))


@given(predictions())
def test_disagreement_is_a_distance(found: Any) -> None:
    matrix = metrics.disagreement(found)
    assert (matrix == matrix.T).all()
    assert not matrix.diagonal().any()
    assert (matrix[:, None, :] <= matrix[:, :, None] + matrix[None, :, :] + 1e-12).all()  # by way of any
    told = metrics.stability(found)
    assert 0 <= told.churn <= told.largest <= 1
    assert metrics.churn(found) == told.churn
    assert metrics.agreement(found) == told.agreement == pytest.approx(1 - told.churn)
    assert told.unanimous <= 1 - told.largest + 1e-12


@given(predictions(), st.randoms())
def test_neither_order_nor_names_matter(found: Any, random: Any) -> None:
    items, runs = list(range(found.shape[1])), list(range(found.shape[0]))
    random.shuffle(items)
    random.shuffle(runs)
    renamed = np.array(["b", "a", "c"])[found[runs][:, items]]
    assert metrics.churn(renamed) == pytest.approx(metrics.churn(found))


def test_a_collapsed_model_is_told() -> None:
    collapsed = [[1, 1, 1], [1, 1, 1], [0, 1, 1]]
    with pytest.warns(metrics.ConstantModelWarning, match="runs 0, 1 are the same for every item") as caught:
        found = metrics.stability(collapsed)
    assert caught[0].filename == __file__
    assert found.constant == (0, 1)
    assert str(found).endswith("constant: runs 0, 1")
    for measure in (metrics.churn, metrics.agreement, metrics.disagreement):
        with pytest.warns(metrics.ConstantModelWarning):
            measure(collapsed)


def test_one_item_collapses_nothing() -> None:
    assert metrics.churn([[1], [1]]) == 0


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float32", "bfloat16"])
def test_tensors_are_read_like_arrays(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    runs = torch.tensor([[0, 1, 1], [0, 1, 0]], dtype=getattr(torch, dtype))
    assert metrics.churn(runs) == pytest.approx(1 / 3)
    assert metrics.churn(list(runs)) == pytest.approx(1 / 3)
    assert metrics.churn([list(run) for run in runs]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ([0, 1], ValueError, r"predictions has shape \(2,\): expected \(runs, items\)"),
        (
            [[0, 1]],
            ValueError,
            r"shape \(1, 2\): expected \(runs, items\) with 2 runs or more",
        ),
        (np.zeros((2, 0)), ValueError, r"predictions has shape \(2, 0\) without elements"),
        ([[0, 1], [0, 1, 1]], ValueError, r"predictions\[1\] has shape \(3,\), predictions\[0\] has \(2,\)"),
        ([[0.2, 0.8], [0.9, 0.1]], ValueError, "predictions holds 0.2: expected class labels.*argmax"),
        ([[0.0, np.nan], [0.0, 1.0]], ValueError, "predictions holds a NaN"),
        ([[object()], [object()]], TypeError, r"predictions\[0\]\[0\] is a object: expected an array"),
        (np.zeros((2, 2), complex), TypeError, "predictions has dtype complex128"),
        (None, TypeError, "predictions is a NoneType"),
    ],
)
def test_what_are_no_labels_is_refused(given: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.churn(given)


def test_a_meta_tensor_is_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"predictions is a Tensor \(.*meta"):
        metrics.churn(torch.empty((2, 2), device="meta"))


def test_texts_as_pandas_gives_them_are_read() -> None:
    texts = np.array([["cat", "dog"], ["dog", "cat"]], dtype=object)
    assert metrics.stability(texts).churn == metrics.stability(texts.tolist()).churn == 1
    assert metrics.stability(np.array([[1, 2, 3], [1, 2, 2]], dtype=object)).churn == 1 / 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.array([["cat", None], ["cat", "cat"]], dtype=object), "predictions holds text and a NoneType"),
        ([["1", 2], ["1", "2"]], r"predictions\[0\] holds text and a int"),
        (
            [np.array(["1", "2"]), np.array([1, 2])],
            r"predictions\[1\] has dtype int64, predictions\[0\] has <U1",
        ),
        (np.array([[object()], [object()]]), "predictions is a ndarray of dtype object"),
    ],
)
def test_texts_and_numbers_are_not_mixed(given: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        metrics.stability(given)
