"""pyarrow: Table, RecordBatch, Array, ChunkedArray, Scalar.

Seeded: nothing: `pyarrow.compute.random` draws from the system unless it gets `initializer=`.
Restored: nothing.
Switches: none.
Read: Column by column: `table['price']`, with the nulls as `table['price'].is_null()`; types, names and order
of columns, and nullability are compared.
Captured: tables, record batches, arrays and chunked arrays.
Environment: its version and its number of threads.
Limits: How a column is cut into chunks, what lies under a null, the order of a dictionary and the metadata of
a schema are not compared, as in `Table.equals`. Unions are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.tables._arrow import flatten_arrow
from pytest_repro.adapters.tables._columns import make_names_leaf
from pytest_repro.core.compare.table import format_table_kind
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_ALTERNATIVE = "record a Table, a RecordBatch or an Array: reader.read_all(), dataset.to_table()"
_PLAIN = (pa.Schema, pa.DataType, pa.Field)


def _iter_columns(table: Any) -> Iterator[tuple[str, object]]:
    names = table.schema.names
    yield ".column_names", make_names_leaf(names)
    for number, field in enumerate(table.schema):
        twice = names.count(field.name) > 1
        yield f".column({number})" if twice else f"[{field.name!r}]", _Column(table.column(number), field)


class _Column:
    """A column of a table, with its field."""

    def __init__(self, values: Any, field: Any) -> None:
        self.values, self.field = values, field


def _list_chunks(values: Any) -> list[Any]:
    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]


class Pyarrow(Adapter):
    """Tables, arrays and scalars, by their logical values."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if kind is _Column:
            name = f"{value.field.type}{'' if value.field.nullable else ' not null'}"
            return flatten_arrow(_list_chunks(value.values), value.field.type, name)
        if kind.__module__.partition(".")[0] != "pyarrow":
            return None
        if issubclass(kind, (pa.Table, pa.RecordBatch)):
            table = format_table_kind(kind.__name__, value.num_rows, value.num_columns)
            return Parts(table, _iter_columns(value), numeric=True)
        if issubclass(kind, (pa.Array, pa.ChunkedArray)):
            return flatten_arrow(_list_chunks(value), value.type)
        if issubclass(kind, pa.Scalar):
            return Parts(f"{value.type} scalar", (("", pa.repeat(value, 1)),))
        if issubclass(kind, _PLAIN):
            return Parts(kind.__name__, (("", str(value)),))
        return None if issubclass(kind, type) else f"is a pyarrow.{kind.__qualname__}: {_ALTERNATIVE}"

    def environment(self) -> dict[str, str]:
        return {"pyarrow": pa.__version__, "pyarrow threads": str(pa.cpu_count())}


adapter = Pyarrow()
