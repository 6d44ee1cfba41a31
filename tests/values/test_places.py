"""In which cells of a heat map elements differ."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_repro.core.compare.plot_data import Heatmap, get_matrix_shape
from pytest_repro.reports.html.heatmap import describe_heatmap, iter_rows, list_cells
from tests.values.test_ulps import counted


def measure(a: np.ndarray, b: np.ndarray) -> Heatmap:
    return Heatmap(get_matrix_shape(a.shape), counted(str(a.dtype), a, b).places)


@given(hnp.arrays("bool", hnp.array_shapes(max_dims=4, max_side=70)))
def test_every_differing_element_is_in_the_cell_of_its_row_and_column(differs: np.ndarray) -> None:
    heatmap = measure(np.zeros(differs.shape), differs.astype("f8"))
    matrix = differs.reshape(heatmap.shape)
    cells = list_cells(heatmap)
    for cell in cells:
        part = matrix[cell.rows.start : cell.rows.stop, cell.columns.start : cell.columns.stop]
        assert cell.differing == part.sum()
        assert cell.share == part.mean()
    assert sum(cell.differing for cell in cells) == differs.sum()


@given(st.integers(0, 99_999))
def test_blocks_count_on_where_the_one_before_ended(place: int) -> None:
    a = np.zeros((1000, 100), "f4")
    b = a.copy()
    b.flat[place] = 1
    (cell,) = list_cells(measure(a, b))
    assert place // 100 in cell.rows
    assert place % 100 in cell.columns


def test_a_heatmap_is_described_in_words_and_numbers() -> None:
    a = np.zeros((64, 96))
    b = a.copy()
    b[4:8, :3] = 1
    b[63, 95] = 1
    heatmap = measure(a, b)
    assert describe_heatmap(heatmap) == (
        "The array as 64 rows and 96 columns: elements differ in 3 of 768 cells, most of all in rows 4 to 7, "
        "columns 0 to 1 (100 %)."
    )
    assert list(iter_rows(heatmap, 2)) == [
        ("4 to 7", "0 to 1", "8", "100 %"),
        ("4 to 7", "2 to 3", "4", "50 %"),
    ]
    assert describe_heatmap(measure(a, a + 1)) == "The array as 64 rows and 96 columns: all elements differ."
    assert describe_heatmap(measure(a[0, :2], b[4, 2:4])) == (
        "The array as a vector: elements differ in 1 of 2 cells, 100 % in each."
    )
