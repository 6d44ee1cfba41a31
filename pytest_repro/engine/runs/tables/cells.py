"""The cells of tables that differ, with the labels of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from pytest_repro.core.compare.mismatch import Mismatch, count_steps
from pytest_repro.core.compare.table import (
    FIRST_ROWS,
    CellDifference,
    ColumnName,
    TableDifference,
    count_rows,
    is_inside,
    iter_tables,
    list_columns,
)
from pytest_repro.core.runs.observation import Key, Observation, format_key
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.distance import load_content
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.values.spill_store import SpillStore

_MAX_CELLS, _MAX_TABLES = 9, 6


def describe_tables(
    mismatches: Iterable[Mismatch], finished_runs: Sequence[tuple[Run, RecordingBase]], store: SpillStore
) -> tuple[TableDifference, ...]:
    """What differs in each table, by rows and columns, in the first run that differs from the reference.

    Args:
        mismatches: The differences between the runs.
        finished_runs: The runs, the reference run first.
        store: Where its values are.
    """
    groups = _group(mismatches, finished_runs)
    if not groups:
        return ()
    reference = finished_runs[0][1].observations()
    lengths = count_steps(reference)
    moves = {_get_setting(run): recording.row_moves for run, recording in finished_runs}
    found = []
    for (table, kind), inside in islice(groups.items(), _MAX_TABLES):
        name, reader = format_key(table, lengths[table[0]] > 1), _TableReader(table, kind, reference, store)
        moved = moves[_get_setting(inside[0])].get(table)
        cells = () if moved else tuple(islice(reader.iter_cells(inside), _MAX_CELLS))
        labels = tuple(reader.get_label(at) for at, _ in moved.first) if moved else ()
        if cells or moved:
            found.append(TableDifference(*table, name, kind, cells, moved, labels))
    return tuple(found)


def _group(
    mismatches: Iterable[Mismatch], finished_runs: Sequence[tuple[Run, RecordingBase]]
) -> dict[tuple[Key, str], list[Mismatch]]:
    """The mismatches in each table, of the first run in which it differs; not if rows or dtypes do."""
    groups: dict[tuple[Key, str], list[Mismatch]] = {}
    tables: list[tuple[Key, str]] | None = None
    for each in mismatches:
        if tables is None:  # only where something differs
            tables = list(iter_tables(finished_runs[0][1].observations()))
        if not tables:
            break
        key = (each.series, each.step, each.path)
        inside = (item for item in tables if key[:2] == item[0][:2] and is_inside(key[2], item[0][2]))
        table = next(inside, None)  # the outermost: a table inside another is a part of it
        if table is not None and each.repeat_of is None:
            found = groups.setdefault(table, [each])
            if found[0] is not each and _get_setting(found[0]) == _get_setting(each):
                found.append(each)
    return {table: found for table, found in groups.items() if all(m.problem == "values" for m in found)}


def _get_setting(run: Run | Mismatch) -> object:
    return run.axis, run.value, run.repeat_of


class _TableReader:
    """Reads single elements of a table of the reference run."""

    def __init__(
        self, table: Key, kind: str, reference: Mapping[Key, Observation], store: SpillStore
    ) -> None:
        self._reference, self._store = reference, store
        self._columns, _ = list_columns(reference, table, count_rows(kind) or 0)
        self._path = table[2]

    def iter_cells(self, mismatches: Iterable[Mismatch]) -> Iterator[CellDifference]:
        """The cells that differ in the first rows that do, row by row."""
        changed: dict[Key, dict[int, str]] = {}
        for each in mismatches:
            key = (each.series, each.step, each.path)
            if key in self._columns and each.difference is not None:
                changed[key] = {at: other for at, _, other in each.difference.first_elements}
        for row in sorted({row for others in changed.values() for row in others})[:FIRST_ROWS]:
            for key, column in self._columns.items():
                if not column.is_mask and (cell := self._make_cell(row, key, column, changed)):
                    yield cell

    def _make_cell(
        self, row: int, key: Key, column: ColumnName, changed: Mapping[Key, Mapping[int, str]]
    ) -> CellDifference | None:
        """The cell, if it or its mask differs: a missing element has no value."""
        mask = next((k for k, c in self._columns.items() if c.is_mask and c.column == column.column), None)
        here = self._get_text(key, row)
        values = [here, changed.get(key, {}).get(row, here)]
        if mask is not None:
            is_null = self._get_text(mask, row)
            nulls = is_null, changed.get(mask, {}).get(row, is_null)
            values = ["null" if null == "True" else value for value, null in zip(values, nulls)]
        if values[0] == values[1] and row not in changed.get(key, {}):
            return None
        one, two = (self._show(key, each) for each in values)
        return CellDifference(row, self.get_label(row), column.column, one, two)

    def get_label(self, row: int) -> str:
        """The label of a row in the reference run; ``""`` if it is only its number."""
        labels = [
            self._show(key, self._get_text(key, row))
            for key, column in self._columns.items()
            if column.is_index and not column.is_mask and not self._is_default(key)
        ]
        return labels[0] if len(labels) == 1 else f"({', '.join(labels)})" if labels else ""

    def _is_default(self, key: Key) -> bool:
        from pytest_repro.values.rows import ColumnBytes, is_default_index

        found = self._reference[key]
        values = load_content(found.content, self._store)
        return values is not None and is_default_index(ColumnBytes(found.dtype, values[:]), found.shape[0])

    def _get_text(self, key: Key, row: int) -> str:
        from pytest_repro.values.elements import format_at

        found = self._reference[key]
        values = load_content(found.content, self._store)
        return "?" if values is None else format_at(found.dtype, found.shape[0], values, row)

    def _show(self, key: Key, text: str) -> str:
        """*text*, as the kind of the column has it: a date, a category."""
        from pytest_repro.values.elements import format_as_kind

        found = self._reference[key]
        categories = self._reference.get((*key[:2], f"{key[2]}.cat.categories"))
        if categories is not None and text.lstrip("-").isdigit():
            return "null" if text == "-1" else self._get_text(categories.key, int(text))
        return format_as_kind(found.kind, text)
