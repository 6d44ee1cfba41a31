"""Rows of tables in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.table import RowMoves
from pytest_repro.values.elements import encode_elements
from pytest_repro.values.rows import ColumnBytes, find_row_moves, hash_rows, is_default_index

ROWS = st.lists(st.tuples(st.integers(0, 3), st.none() | st.sampled_from([b"", b"a", b"ab"])), max_size=12)


def make_columns(rows: list[Any]) -> list[ColumnBytes]:
    lengths, data = encode_elements([text for _, text in rows])
    numbers = np.array([number for number, _ in rows], "i2")
    return [ColumnBytes("int16", numbers.tobytes()), ColumnBytes("utf8", lengths.tobytes() + data)]


@given(ROWS, st.randoms())
def test_moves_lead_from_row_to_row(rows: list[Any], random: Any) -> None:
    others = rows.copy()
    random.shuffle(others)
    moves = find_row_moves(make_columns(rows), make_columns(others), len(rows), 3)
    moved = [i for i, (one, other) in enumerate(zip(rows, others)) if one != other]
    if not moved:
        assert moves is None
        return
    assert moves is not None
    assert (moves.total, [before for before, _ in moves.first]) == (len(moved), moved[:3])
    assert all(rows[before] == others[after] != rows[after] for before, after in moves.first)


@given(ROWS, ROWS)
def test_other_rows_have_not_moved(rows: list[Any], others: list[Any]) -> None:
    hashes = hash_rows(make_columns(rows), len(rows)).tolist()
    assert [hashes[0] == each for each in hashes] == [rows[0] == row for row in rows]
    if len(rows) == len(others) and sorted(map(repr, rows)) != sorted(map(repr, others)):
        assert find_row_moves(make_columns(rows), make_columns(others), len(rows), 3) is None


def test_columns_of_wide_elements() -> None:
    one, other = (ColumnBytes("complex128", np.array(each, "c16").tobytes()) for each in ([1j, 2], [2, 1j]))
    assert find_row_moves([one], [other], 2, 1) == RowMoves(2, ((0, 1),))
    column = ColumnBytes("int64", np.arange(3).tobytes())
    assert is_default_index(column, 3)
    assert not is_default_index(ColumnBytes("int64", np.arange(1, 4).tobytes()), 3)
