"""Finds tables that have the same rows in another order, while their values can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_repro.core.compare.table import FIRST_ROWS, RowMoves, count_rows, list_columns
from pytest_repro.core.runs.observation import Container, Key, Leaf, Observation
from pytest_repro.engine.runs.distance import load_content
from pytest_repro.values.spill_store import SpillStore, ValueBuffer

ReadValue = Callable[[Observation], "ValueBuffer | None"]
"""Reads the bytes of an observation; None if they were not kept."""

FindObservation = Callable[[Key], "Observation | None"]


class TableWatch:
    """Follows the values of a run, and compares the rows of each table that differs.

    Args:
        find_reference: Returns the value of the reference run under a key; None if this is that run.
        store: Where its values are.

    Attributes:
        moves: Where rows are, of each table that has the same rows in another order.
    """

    def __init__(self, find_reference: FindObservation | None, store: SpillStore) -> None:
        self.moves: dict[Key, RowMoves] = {}
        self._find_reference = find_reference
        self._store = store
        self._tables: dict[Key, str] = {}
        self._leaves: dict[Key, tuple[Observation, Leaf]] = {}

    def add(self, found: Observation, leaf: Leaf, containers: Sequence[Container]) -> None:
        """Adds a value as it is recorded."""
        for at, kind in containers if self._find_reference is not None else ():
            if count_rows(kind) is not None:
                self._tables[(*found.key[:2], at)] = kind
        if self._tables:
            self._leaves[found.key] = found, leaf

    def finish(self) -> None:
        """Compares the tables that were added; their values may change from now on."""
        if not self._tables or self._find_reference is None:
            return
        observations = {key: found for key, (found, _) in self._leaves.items()}
        leaves = {key: leaf for key, (_, leaf) in self._leaves.items()}
        tables, self._tables, self._leaves = self._tables, {}, {}

        def read(found: Observation) -> memoryview:
            return memoryview(b"".join(bytes(each) for each in leaves[found.key].read_chunks()))

        self.moves |= find_moves(tables, self._find_reference, observations, self._store, read)


def _has_rows(key: Key, table: Key) -> bool:
    """Whether the value under *key* holds elements of rows, in parts of their own: items of lists."""
    suffix = key[2][len(table[2]) :]
    return suffix.startswith("[") and ".cat." not in suffix


def _is_equal(a: Observation | None, b: Observation) -> bool:
    return a is not None and (a.kind, a.content) == (b.kind, b.content)


def find_moves(
    tables: Mapping[Key, str],
    find_reference: FindObservation,
    other: Mapping[Key, Observation],
    store: SpillStore,
    read_other: ReadValue,
) -> dict[Key, RowMoves]:
    """Where the rows of *tables* moved, of those that have the same rows in both runs and are not equal."""
    found = {}
    for table, kind in tables.items():
        rows = count_rows(kind) or 0
        columns, others = list_columns(other, table, rows)
        pairs = [(find_reference(key), other[key]) for key in columns]
        known = [(a, b) for a, b in pairs if a is not None and a.kind == b.kind]
        if len(known) < len(pairs) or all(a.content == b.content for a, b in known):
            continue
        if any(_has_rows(key, table) or not _is_equal(find_reference(key), other[key]) for key in others):
            continue
        from pytest_repro.values.rows import MAX_ROWS, ColumnBytes, find_row_moves, is_default_index

        sides: tuple[list[ColumnBytes], list[ColumnBytes]] = [], []
        for (a, b), column in zip(known, columns.values()):
            ours, theirs = load_content(a.content, store), read_other(b)
            if ours is None or theirs is None or rows > MAX_ROWS:
                break
            left = ColumnBytes(a.dtype, ours[:])
            if not (column.is_index and a.content == b.content and is_default_index(left, rows)):
                sides[0].append(left)
                sides[1].append(ColumnBytes(b.dtype, theirs[:]))
        else:
            moves = find_row_moves(*sides, rows, FIRST_ROWS)
            found.update({table: moves} if moves else {})
    return found
