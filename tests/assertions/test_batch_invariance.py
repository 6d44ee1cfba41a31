"""Rows that depend on their batch are found and named."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from pytest_repro import NotReproducible, assert_batch_invariant

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")
Array = np.ndarray[Any, Any]
ROWS = np.arange(20.0).reshape(10, 2)


def centred(rows: Array) -> Array:
    """As BatchNorm in training mode: the result of a row depends on the others."""
    centre: Array = rows.mean(axis=0)
    return rows - centre


def test_rows_that_hang_on_their_batch_are_named() -> None:
    with pytest.raises(NotReproducible) as caught:
        assert_batch_invariant(centred, ROWS, sizes=(5, 10, None))
    assert str(caught.value) == dedent(
        """\
        centred is not batch invariant (bit for bit, 10 rows)

          batches of 5   rows float64[10, 2]
            V_c 1: 20 of 20 elements (100 %), max abs 5, max rel 5, max ulp over 2**63
            first row 0: at [0, 0] -9.0 in the whole batch, -4.0 in batches of 5
          batches of 10   equal to the whole batch

          look for   products and reductions that choose an algorithm by the number of rows, and
                     statistics over the batch (BatchNorm in training mode, padding, sorting)"""
    )
    runs = caught.value.verdict.runs
    assert [(run.axis, run.value) for run in runs] == [("batch", None), ("batch", 5), ("batch", 10)]


def test_rows_for_themselves_pass_whatever_fn_gives() -> None:
    ways = (lambda rows: rows * 2, lambda rows: (rows, rows.sum(axis=1)), lambda rows: {"y": rows[:, 0]})
    for fn in ways:
        assert assert_batch_invariant(fn, ROWS).reproduced


def test_closeness_can_be_asked() -> None:
    def rounded(rows: Array) -> Array:
        return rows + 1e-9 * len(rows)

    assert assert_batch_invariant(rounded, ROWS, rtol=1e-6, atol=1e-6).reproduced
    with pytest.raises(NotReproducible, match="first row 0"):
        assert_batch_invariant(rounded, ROWS)


@needs_torch
def test_a_model_is_taken_as_it_is() -> None:
    model = torch.nn.Linear(2, 3)
    rows = torch.ones(10, 2)
    assert assert_batch_invariant(model, rows, rtol=1e-6, atol=1e-6).reproduced


def test_the_share_the_distance_and_the_first_row_are_right() -> None:
    rows = np.arange(24.0).reshape(8, 3)

    def fourth_of_four(batch: Array) -> Array:
        """One of 3 columns is off in rows 3 and 7: by 0.25 and 0.5, where four come together."""
        if len(batch) == 4:
            batch[3, 1] += 0.25 if batch[0, 0] == 0 else 0.5
        return batch

    with pytest.raises(NotReproducible) as caught:
        assert_batch_invariant(fourth_of_four, rows, sizes=(3, 4, None))
    lines = str(caught.value).splitlines()
    assert lines[2:6] == [
        "  batches of 3   equal to the whole batch",
        "  batches of 4   rows float64[8, 3]",
        "    V_c 0.0833: 2 of 24 elements (8.33 %), max abs 0.5, max rel 0.025, max ulp over 2**46",
        "    first row 3: at [3, 1] 10.0 in the whole batch, 10.25 in batches of 4",
    ]
    (found,) = caught.value.verdict.mismatches
    assert found.difference is not None
    assert (found.value, found.difference.share) == (4, 2 / 24)
    with pytest.raises(
        NotReproducible, match=r"1 outside the tolerance, max abs 0.5.*\n +first row that differs at all: 3"
    ):
        assert_batch_invariant(fourth_of_four, rows, sizes=(3, 4, None), rtol=0, atol=0.3)
    assert assert_batch_invariant(fourth_of_four, rows, sizes=(4, None), rtol=0, atol=0.5).reproduced


def padded(rows: Array) -> Array:
    """As wide as the largest number of the batch."""
    return np.zeros((len(rows), int(rows.max())))


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (lambda rows: (rows, {"a": [rows * len(rows)]}), "[1]['a'][0] float64[10, 2]"),
        (lambda rows: {"b": rows, 3: rows + len(rows)}, "[3] float64[10, 2]"),
        (lambda rows: rows.argmax(axis=1) + len(rows), "max abs 9, max rel 0.818"),
        (lambda rows: np.where(rows > 8, np.nan, rows) if len(rows) > 1 else rows, "11 with NaN or infinity"),
        (lambda rows: np.ma.masked_less(rows, 5 if len(rows) > 1 else 7), ".mask bool[10, 2]"),
        (
            lambda rows: rows.astype("f4" if len(rows) > 1 else "f8"),
            "float32[10, 2] in the whole batch, float64[10, 2] in",
        ),
        (lambda rows: (rows,) * (1 + (len(rows) > 1)), "recorded in the whole batch only"),
    ],
)
def test_a_difference_is_found_in_whatever_fn_gives(fn: Any, says: str) -> None:
    with pytest.raises(NotReproducible) as caught:
        assert_batch_invariant(fn, ROWS, sizes=(1, None))
    assert says in str(caught.value)


@pytest.mark.parametrize("fn", [lambda rows: rows[..., ::2], lambda rows: rows == rows, np.isnan])
def test_rows_that_are_no_numbers_are_equal_to_themselves(fn: Any) -> None:
    rows = ROWS.copy()
    rows[3:5] = np.nan, np.inf
    assert assert_batch_invariant(fn, rows).reproduced


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_fn_may_write_to_what_it_is_given(kind: str) -> None:
    pytest.importorskip(kind)
    rows = ROWS.copy() if kind == "numpy" else torch.tensor(ROWS, requires_grad=True)

    def doubled(batch: Any) -> Any:
        batch *= 2
        return batch

    sizes: Any = (3, None, np.int64(3))
    assert assert_batch_invariant(doubled, rows, sizes).reproduced
    assert rows.tolist() == ROWS.tolist()


@needs_torch
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int64", "bool", "complex64", "float8_e5m2"])
def test_every_dtype_of_torch(dtype: str) -> None:
    rows = torch.tensor(ROWS).to(getattr(torch, dtype))

    def first_is_zero(batch: Any) -> Any:
        if len(batch) == 5:
            batch[0] = 0
        return batch

    assert assert_batch_invariant(lambda batch: batch, rows).reproduced
    with pytest.raises(
        NotReproducible,
        match=r"batches of 7   equal.*\n.*batches of 5.*\n +V_c 0.15.*\n +first row 0: at .0, 1.",
    ):
        assert_batch_invariant(first_is_zero, rows, sizes=(7, 5, None))


@needs_torch
def test_a_model_that_needs_gradients_keeps_none_and_changes_nothing() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4)).eval()
    rows = torch.tensor(ROWS, dtype=torch.float32, requires_grad=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert assert_batch_invariant(model, rows, rtol=1e-5, atol=1e-5).reproduced
    assert rows.grad is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(NotReproducible, match="Sequential is not batch invariant"):
        assert_batch_invariant(model.train(), rows, sizes=(5, None), rtol=1e-5, atol=1e-5)


@needs_torch
def test_a_linear_layer_in_float32_is_close_and_not_equal() -> None:
    """Products of a few rows go another way than those of many, where the library has one for them."""
    generator = torch.Generator().manual_seed(0)
    model = torch.nn.Linear(512, 512).requires_grad_(False)
    rows = torch.randn(64, 512, generator=generator)
    bits = [torch.equal(model(rows[:size].clone()), model(rows)[:size]) for size in (1, 2, 3)]
    assert assert_batch_invariant(model, rows, sizes=(1, 2, 3, None), rtol=1e-4, atol=1e-5).reproduced
    if all(bits):
        pytest.skip("the matrix product of this machine gives equal bits for 1 to 3 and 64 rows")
    with pytest.raises(
        NotReproducible, match=r"V_c 0\.\d+: .* of 32,768 elements .*max abs \d\.?\d*e-0[678]"
    ) as caught:
        assert_batch_invariant(model, rows, sizes=(1, 2, 3, None))
    differing = {m.value for m in caught.value.verdict.mismatches}
    assert {size for size, equal in zip((1, 2, 3), bits) if not equal} <= differing


TOO_FEW = "expected at least two that differ on"


@pytest.mark.parametrize(
    ("fn", "batch", "sizes", "error", "says"),
    [
        (np.sum, ROWS, (1, None), ValueError, r"fn got 10 rows and returned float64 of shape \(\)"),
        (
            lambda rows: rows[:1],
            ROWS,
            (None, 2),
            ValueError,
            r"fn got 10 rows and returned ndarray of shape \(1, 2\)",
        ),
        (lambda rows: list(rows), ROWS, (None, 2), ValueError, r"returned ndarray of shape \(2,\) at \[0\]"),
        (
            lambda rows: rows.tolist(),
            ROWS,
            (None, 2),
            TypeError,
            r"fn returns float at \[0\]\[0\]: expected tensors or arrays",
        ),
        (lambda rows: {"y": None}, ROWS, (None, 2), TypeError, r"fn returns NoneType at \['y'\]"),
        (lambda rows: None, ROWS, (None, 2), TypeError, "fn returns NoneType: expected tensors or arrays"),
        (lambda rows: (), ROWS, (None, 2), TypeError, "fn returns an empty tuple"),
        (lambda rows: (rows, {}), ROWS, (None, 2), TypeError, r"fn returns an empty dict at \[1\]"),
        (
            padded,
            ROWS,
            (1, None),
            ValueError,
            r"fn returns ndarray float64 \[n, 1\] for some rows and .* \[n, 3\] for others",
        ),
        (
            lambda rows: rows.astype(f"f{8 if rows[0, 0] else 4}"),
            ROWS,
            (1, None),
            ValueError,
            "float32 .* float64",
        ),
        (
            lambda rows: (rows,) * int(1 + rows[0, 0]),
            ROWS,
            (1, None),
            ValueError,
            "1 part for some rows and 3 parts for",
        ),
        (
            lambda rows: {str(rows[0, 0]): rows},
            ROWS,
            (1, None),
            ValueError,
            r"a dict of '0.0' .* a dict of '2.0'",
        ),
        (3, ROWS, (1, None), TypeError, "fn: expected a function of rows, or a model, not int"),
        (centred, 3, (1, None), ValueError, "batch: .* at least one row, not int"),
        (centred, ROWS.tolist(), (1, None), ValueError, "batch: .* at least one row, not list"),
        (centred, {"x": ROWS}, (1, None), ValueError, "batch: .* at least one row, not dict"),
        (
            centred,
            ROWS[:0],
            (1, None),
            ValueError,
            r"batch: .* at least one row, not ndarray of shape \(0, 2\)",
        ),
        (centred, np.array(3.0), (1, None), ValueError, r"batch: .* not ndarray of shape \(\)"),
        (centred, ROWS[:1], (1, 7, None), ValueError, rf"sizes=\(1, 7, None\): {TOO_FEW} 1 row$"),
        (centred, ROWS, (10, 11, None), ValueError, rf"sizes=\(10, 11, None\): {TOO_FEW} 10 rows$"),
        (centred, ROWS, (None,), ValueError, TOO_FEW),
        (centred, ROWS, (), ValueError, TOO_FEW),
        *[
            (
                centred,
                ROWS,
                sizes,
                ValueError,
                "^sizes=.*: expected numbers of rows, 1 or more, or None for all rows",
            )
            for sizes in ((0, None), (-1, None), (True, None), (2.0, None), "12", 3, None)
        ],
    ],
)
def test_bad_input_is_named(fn: Any, batch: Any, sizes: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        assert_batch_invariant(fn, batch, sizes)


@pytest.mark.parametrize(
    ("asked", "says"),
    [({"rtol": 0.1}, "rtol=0.1: "), ({"rtol": -1, "atol": 0}, "rtol=-1: "), ({"seed": -1}, "seed=-1: ")],
)
def test_what_else_is_asked_is_checked_before_anything_is_called(asked: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}"):
        assert_batch_invariant(lambda rows: 1 / 0, ROWS, **asked)
