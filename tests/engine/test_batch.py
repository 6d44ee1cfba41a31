"""Rows that hang on their batch are found, and named."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import numpy as np
import pytest

import pytest_repro
from pytest_repro import NotReproducible

Array = np.ndarray[Any, Any]
ROWS = np.arange(20.0).reshape(10, 2)


def centred(rows: Array) -> Array:
    """As BatchNorm in training mode: what a row gives hangs on the others."""
    centre: Array = rows.mean(axis=0)
    return rows - centre


def test_rows_that_hang_on_their_batch_are_named() -> None:
    with pytest.raises(NotReproducible) as caught:
        pytest_repro.assert_batch_invariant(centred, ROWS, sizes=(5, 10, None))
    assert str(caught.value) == dedent(
        """\
        centred is not batch invariant (bit for bit, 10 rows)

          batches of 5   rows float64[10, 2]
            V_c 1: 20 of 20 elements (100 %), max abs 5, max rel 5, max ulp 9,225,623,836,668,461,056
            first row 0: at [0, 0] -9.0 in the whole batch, -4.0 in batches of 5
          batches of 10   equal to the whole batch

          look for   products and reductions that take another way for another number of rows, and
                     statistics over the batch (BatchNorm in training mode, padding, sorting)"""
    )
    runs = caught.value.verdict.runs
    assert [(run.axis, run.value) for run in runs] == [("batch", None), ("batch", 5), ("batch", 10)]


def test_rows_for_themselves_pass_whatever_fn_gives() -> None:
    ways = (lambda rows: rows * 2, lambda rows: (rows, rows.sum(axis=1)), lambda rows: {"y": rows[:, 0]})
    for fn in ways:
        assert pytest_repro.assert_batch_invariant(fn, ROWS).reproduced


def test_closeness_can_be_asked() -> None:
    def rounded(rows: Array) -> Array:
        return rows + 1e-9 * len(rows)

    assert pytest_repro.assert_batch_invariant(rounded, ROWS, rtol=1e-6, atol=1e-6).reproduced
    with pytest.raises(NotReproducible, match="first row 0"):
        pytest_repro.assert_batch_invariant(rounded, ROWS)


def test_a_model_is_taken_as_it_is() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 3)
    rows = torch.ones(10, 2)
    assert pytest_repro.assert_batch_invariant(model, rows, rtol=1e-6, atol=1e-6).reproduced


@pytest.mark.parametrize(
    ("fn", "batch", "sizes", "error", "says"),
    [
        (np.sum, ROWS, (1, None), ValueError, "given 10 rows and gave"),
        (lambda rows: rows[:1], ROWS, (None, 2), ValueError, r"given 10 rows and gave \(1, 2\)"),
        (centred, ROWS, (0, None), ValueError, "numbers of rows, 1 or more, or None"),
        (centred, ROWS, (None,), ValueError, "at least two"),
        (centred, 3, (1, None), ValueError, "at least one row, not int"),
        (centred, ROWS[:0], (1, None), ValueError, "at least one row"),
        (centred, ROWS, (True, None), ValueError, "numbers of rows"),
    ],
)
def test_bad_input_is_named(fn: Any, batch: Any, sizes: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        pytest_repro.assert_batch_invariant(fn, batch, sizes)
