"""What is a column of a table, by its path."""

from __future__ import annotations

import pytest

from pytest_repro.core.compare.table import (
    ColumnName,
    count_rows,
    find_column,
    format_table_kind,
    is_inside,
)


def test_kinds_of_tables() -> None:
    assert format_table_kind("DataFrame", 300, 1) == "DataFrame[300 rows, 1 column]"
    assert format_table_kind("Series", 1) == "Series[1 row]"
    for kind, rows in (
        ("DataFrame[300 rows, 1 column]", 300),
        ("Series[1 row]", 1),
        ("A[0 rows, 0 columns]", 0),
    ):
        assert count_rows(kind) == rows
    for kind in ("dict", "record[3, 4]", "float32[3]", "DataFrame"):
        assert count_rows(kind) is None


@pytest.mark.parametrize(
    ("suffix", "found"),
    [
        ("['price']", ColumnName("['price']")),
        ("['price'].isna()", ColumnName("['price']", is_mask=True)),
        ("['span'].left", ColumnName("['span'].left")),
        (".iloc[:, 3]", ColumnName(".iloc[:, 3]")),
        (".column(2).is_null()", ColumnName(".column(2)", is_mask=True)),
        (".index", ColumnName(".index", is_index=True)),
        (".index.get_level_values(1)", ColumnName(".index.get_level_values(1)", is_index=True)),
        ("", ColumnName("")),
        (".is_null()", ColumnName("", is_mask=True)),
        (".columns", None),
        (".index.name", None),
        (".attrs['a']", None),
        ("['list'].explode()", None),
        ("['list'].explode().is_null()", None),
        ("['kind'].cat.categories", None),
    ],
)
def test_columns(suffix: str, found: ColumnName | None) -> None:
    assert find_column(suffix) == found


def test_paths_inside_a_table() -> None:
    assert is_inside("['a']", "")
    assert is_inside(".frame['a']", ".frame")
    assert is_inside(".frame", ".frame")
    assert not is_inside(".frames", ".frame")
