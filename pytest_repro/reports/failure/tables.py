"""The part of a failure text about a table: its first rows that differ, with labels, or that moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_repro.core.compare.mismatch import Difference, Mismatch
from pytest_repro.core.compare.table import TableDifference, find_column
from pytest_repro.core.runs.observation import is_coded
from pytest_repro.core.text import escape_unprintable
from pytest_repro.reports.failure import plural

_MAX_CHARS, _MAX_COLUMNS = 32, 6


MOVED = ": the same rows in another order"


def find_moved_table(mismatches: Sequence[Mismatch], tables: Sequence[TableDifference]) -> str:
    """The name of the table that all *mismatches* are in, if its rows are only in another order."""
    for table in tables:
        if table.moves and all(table.holds((each.series, each.step, each.path)) for each in mismatches):
            return table.name
    return ""


def format_table(
    table: TableDifference,
    mismatches: Sequence[Mismatch],
    reference: str,
    other: str,
    format_distance: Callable[[Difference], str],
) -> Iterator[str]:
    """What differs in *table*: *mismatches* are those of its run, which *other* names: ``in run 2``."""
    if table.moves is not None:
        yield from _format_moves(table, reference, other)
        return
    yield from _format_counts(table, mismatches, format_distance)
    has_labels = any(cell.label for cell in table.cells)
    rows = [("row", "index", "column", reference.removeprefix("in "), other.removeprefix("in "))]
    rows += [
        (f"{cell.row:,}", cell.label, _name_column(cell.column), cell.reference, cell.other)
        for cell in table.cells
    ]
    texts = [[_shorten(each) for i, each in enumerate(row) if i != 1 or has_labels] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts)]
    for row in texts:
        yield f"    {'  '.join(text.ljust(width) for text, width in zip(row, widths))}".rstrip()


def _format_moves(table: TableDifference, reference: str, other: str) -> Iterator[str]:
    assert table.moves is not None
    yield f"   {MOVED[1:]}: {plural(table.moves.total, 'row')} moved"
    for (before, after), label in zip(table.moves.first, table.labels):
        named = f" ({_shorten(label)})" if label else ""
        yield f"    row {before:,}{named} {reference} is row {after:,} {other}"


def _format_counts(
    table: TableDifference, mismatches: Sequence[Mismatch], format_distance: Callable[[Difference], str]
) -> Iterator[str]:
    """The first element of each column that differs, and how far; masks are a part of their column."""
    shown = 0
    for each in mismatches:
        found = find_column(each.path[len(table.path) :])
        if each.difference is None or (found is not None and found.is_mask):
            continue
        shown += 1
        if shown <= _MAX_COLUMNS:
            first = ", ".join(map(str, each.difference.first_index or ()))
            far = format_distance(_drop_codes(each))
            yield f"    {each.name}[{first}]   {each.kind}   {far}".rstrip()
    if shown > _MAX_COLUMNS:
        yield f"    and {plural(shown - _MAX_COLUMNS, 'more column')}"


def _drop_codes(mismatch: Mismatch) -> Difference:
    """The difference, without how far integers are apart that stand for moments or categories."""
    assert mismatch.difference is not None
    found = mismatch.difference
    if not is_coded(mismatch.kind):
        return found
    return Difference(found.differing, found.total, found.outside_tolerance)


def _name_column(suffix: str) -> str:
    """The label of a column as it is written in its path: ``'price'``; the values of a series have none."""
    bare = suffix.removeprefix(".")
    return bare[1:-1] if bare.startswith("[") and bare.endswith("]") else bare or "values"


def _shorten(text: str) -> str:
    shown = escape_unprintable(text)
    return shown if len(shown) <= _MAX_CHARS else f"{shown[: _MAX_CHARS - 1]}…"
