"""How two tables differ: their rows and columns, with labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pytest_repro.core.runs.observation import Key, Observation

_TABLE_KIND = re.compile(r".+\[(\d+) rows?(?:, \d+ columns?)?\]")
_MASKS, _PARTS = (".isna()", ".is_null()"), (".left", ".right")
_INDEX = re.compile(r"\.index(?:\.get_level_values\(.*\))?")
_COLUMN = re.compile(r"\[.*\]|\.iloc\[:, \d+\]|\.column\(\d+\)|", re.S)

FIRST_ROWS = 3
"""Rows that a report shows."""


def format_table_kind(name: str, rows: int, columns: int | None = None) -> str:
    """The kind of a table: ``DataFrame[300 rows, 4 columns]``; without *columns*, it is a single one."""
    sizes = [f"{rows} row{'s' * (rows != 1)}"]
    sizes += [] if columns is None else [f"{columns} column{'s' * (columns != 1)}"]
    return f"{name}[{', '.join(sizes)}]"


def count_rows(kind: str) -> int | None:
    """The number of rows of a container of that kind; None if it is no table."""
    found = _TABLE_KIND.fullmatch(kind)
    return None if found is None else int(found[1])


class RowMoves(NamedTuple):
    """The same rows in another order: how many moved, and from where to where the first of them."""

    total: int
    first: tuple[tuple[int, int], ...]


class CellDifference(NamedTuple):
    """A cell that differs: number of its row from 0, label of the row, column, and both values as text.

    *label* is ``""`` if rows have none but their number.
    """

    row: int
    label: str
    column: str
    reference: str
    other: str


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How a table of one run differs from that of the reference run."""

    series: str  # recorded name
    step: int  # place in the series, from 0
    path: str  # path of the table inside the recorded value
    name: str  # displayed name
    kind: str  # class, number of rows and of columns in the reference run
    cells: tuple[CellDifference, ...] = ()  # cells of the first rows that differ
    moves: RowMoves | None = None  # where rows are, if they are the same in another order
    labels: tuple[str, ...] = ()  # labels of the first moved rows

    def holds(self, key: Key) -> bool:
        """Whether the value under *key* is a part of the table."""
        return key[:2] == (self.series, self.step) and is_inside(key[2], self.path)


def is_inside(path: str, table: str) -> bool:
    """Whether *path* is that of the table or of a part of it."""
    return path.startswith(table) and (not table or path[len(table) :][:1] in ("", ".", "["))


def iter_tables(observations: Mapping[Key, Observation]) -> Iterator[tuple[Key, str]]:
    """Key and kind of each table, the outermost first."""
    for (name, step, _), each in observations.items():
        yield from (((name, step, at), kind) for at, kind in each.containers if count_rows(kind) is not None)


class ColumnName(NamedTuple):
    """What a value inside a table is: a column of it, its mask of missing elements, or the index."""

    column: str
    is_mask: bool = False
    is_index: bool = False


def find_column(suffix: str) -> ColumnName | None:
    """The column that is at *suffix* inside a table; None for names, attributes and parts of elements."""
    mask = next((each for each in _MASKS if suffix.endswith(each)), "")
    bare = suffix.removesuffix(mask)
    plain = next((bare.removesuffix(each) for each in _PARTS if bare.endswith(each)), bare)
    if _INDEX.fullmatch(plain):
        return ColumnName(bare, bool(mask), True)
    is_cell = "explode()" in plain or "flatten()" in plain
    return ColumnName(bare, bool(mask)) if _COLUMN.fullmatch(plain) and not is_cell else None


def list_columns(
    observations: Mapping[Key, Observation], table: Key, rows: int
) -> tuple[dict[Key, ColumnName], list[Key]]:
    """The columns of *table* with one element for each row, and the keys of everything else in it."""
    name, step, path = table
    columns: dict[Key, ColumnName] = {}
    others: list[Key] = []
    for key, each in observations.items():
        if key[:2] != (name, step) or not is_inside(key[2], path):
            continue
        suffix = key[2][len(path) :]
        found = find_column(suffix)
        if found is not None and each.shape == (rows,):
            columns[key] = found
        else:
            others.append(key)
    return columns, others
