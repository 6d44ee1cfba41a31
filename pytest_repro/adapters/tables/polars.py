"""polars: DataFrame, Series.

Seeded: its global generator, by `polars.set_random_seed`.
Restored: the generator has no state that can be read. Before a test is seeded, a number is drawn from it, and
after the test it is seeded with that number: what follows depends on your own seed, if there is one.
Switches: none.
Read: Column by column: `frame['price']`, with the nulls as `frame['price'].is_null()`; the schema, names and
the order of columns are compared.
Captured: DataFrames and series.
Environment: its version and its number of threads.
Limits: A LazyFrame is refused: call `.collect()`. Physical codes of categoricals and chunks are not compared.
Object columns hold numbers, texts and missing values; or at most 10,000 cells of any kind. Whether a test
draws from the global generator without seeding it is not seen.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.tables._columns import (
    make_chunked_leaf,
    make_element_leaf,
    make_names_leaf,
    make_objects_leaf,
    name_columns,
    read_own_attributes,
)
from pytest_repro.core.compare.table import format_table_kind
from pytest_repro.core.runs.observation import Leaf, Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.seeding import Effect
from pytest_repro.values.elements import BINARY, TEXT, encode_elements

MASK = ".is_null()"
"""Path of the mask of missing elements."""

_NUMBERS = {
    "Int8": "i1", "Int16": "i2", "Int32": "i4", "Int64": "i8", "UInt8": "u1", "UInt16": "u2", "UInt32": "u4",
    "UInt64": "u8", "Float16": "f2", "Float32": "f4", "Float64": "f8", "Boolean": "?",
    "Date": "i4", "Datetime": "i8", "Duration": "i8", "Time": "i8",
}  # fmt: skip
_FEW = 1000  # texts that are read without pyarrow, which copies them as a whole

_AS_TEXT = ("Decimal", "Int128", "UInt128", "Categorical", "Enum")
"""Dtypes that are read as text, which says all of their values."""


class Column:
    """The values of a series, without its name."""

    def __init__(self, series: Any) -> None:
        self.series = series


def flatten_values(series: Any) -> FlattenResult:
    """The values of *series*, or why they cannot be recorded."""
    dtype, count = series.dtype, len(series)
    name, title = str(dtype.base_type()), f"{_name_dtype(dtype)}[{count}]"
    if name in _NUMBERS:
        physical = series.to_physical()
        chunks = [partial(_read_numbers, each) for each in physical.get_chunks()]
        numbers = make_chunked_leaf(title, _NUMBERS[name], chunks, count)
        return Parts(_name_dtype(dtype), (("", numbers), (MASK, _make_mask(series))), numeric=True)
    if name in ("String", "Binary"):
        return _make_text_leaf(title, series)
    if name in _AS_TEXT:
        values = _make_text_leaf(title, series.cast(pl.String))
        return values if name != "Enum" else Parts(title, _iter_enum(values, dtype), numeric=True)
    if name in ("List", "Array", "Struct"):
        return Parts(title, _iter_nested(series, name), numeric=True)
    if name == "Null":
        return Leaf(title, "", (), 0, lambda: (), numeric=True)
    if name == "Object":
        return make_objects_leaf("Object", np.fromiter(series.to_list(), object, count))
    return f"is a series of the dtype {dtype}: cast it to another dtype, or record its storage"


def _name_dtype(dtype: Any) -> str:
    """The dtype; a moment or a span of time with its unit: ``Datetime[us, UTC]``."""
    if isinstance(dtype, (pl.Datetime, pl.Duration)):
        zone = getattr(dtype, "time_zone", None)
        return f"{dtype.base_type()}[{dtype.time_unit}{f', {zone}' if zone else ''}]"
    return "Date[day]" if dtype == pl.Date else "Enum" if isinstance(dtype, pl.Enum) else str(dtype)


def _read_numbers(chunk: Any) -> NDArray[Any]:
    # What lies under a null is no value.
    known = chunk if not chunk.null_count() else chunk.fill_null(False if chunk.dtype == pl.Boolean else 0)
    return np.asarray(known.to_numpy())


def _make_mask(series: Any) -> Leaf:
    def read() -> NDArray[Any]:
        return np.asarray(series.is_null().to_numpy()) if series.null_count() else np.zeros(len(series), "?")

    return make_chunked_leaf(f"bool[{len(series)}]", "?", [read], len(series))


def _make_text_leaf(title: str, series: Any) -> Leaf:
    if series.dtype == pl.Binary:
        lengths, data = encode_elements(series.to_list())
        return make_element_leaf(title, BINARY, lengths, [data])
    if "pyarrow" in sys.modules and len(series) > _FEW:  # 6 times as fast, and the same bytes
        from pytest_repro.adapters.tables._arrow import make_text_leaf

        array = series.to_arrow()
        return make_text_leaf(title, [array], array.type)
    sizes = series.str.len_bytes().cast(pl.Int32)
    lengths = (sizes.fill_null(-1) if series.null_count() else sizes).to_numpy()
    return make_element_leaf(title, TEXT, lengths, [_join(each).encode() for each in series.get_chunks()])


def _join(series: Any) -> str:
    return series.str.join("").item() or "" if len(series) else ""


def _iter_enum(values: Leaf, dtype: Any) -> Iterator[tuple[str, object]]:
    yield "", values
    yield ".cat.get_categories()", Column(dtype.categories)


def _iter_nested(series: Any, name: str) -> Iterator[tuple[str, object]]:
    """The parts of lists and structs, without what lies under nulls."""
    yield MASK, _make_mask(series)
    present = series.drop_nulls()
    if name == "Struct":
        for field in series.dtype.fields:
            yield f".struct[{field.name!r}]", Column(present.struct.field(field.name))
        return
    if name == "List":
        yield ".list.len()", Column(present.list.len())
        present = present.filter(present.list.len() > 0)  # an empty list would be a null
    yield ".explode()", Column(present.explode())


_OWN = frozenset(["_df", "_s", "_accessors"])
_ALTERNATIVE = "record its result, a DataFrame or a Series"
_CARDS = pl.DataFrame({"card": list(range(20))})  # shuffled to draw a number: 20! orders are 61 bits


def _iter_frame(frame: Any) -> Iterator[tuple[str, object]]:
    yield ".columns", make_names_leaf(frame.columns)
    for name, series in zip(name_columns(frame.columns), frame.get_columns()):
        yield name, Column(series)
    yield from read_own_attributes(frame, _OWN)


def _iter_series(series: Any) -> Iterator[tuple[str, object]]:
    yield "", Column(series)
    yield ".name", series.name
    yield from read_own_attributes(series, _OWN)


class Polars(Adapter):
    """DataFrames and series, the global generator."""

    has_readable_state: ClassVar[bool] = False

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if kind is Column:
            return flatten_values(value.series)
        if issubclass(kind, pl.DataFrame):
            table = format_table_kind(kind.__qualname__, value.height, value.width)
            return Parts(table, _iter_frame(value), numeric=True)
        if issubclass(kind, pl.Series):
            return Parts(format_table_kind(kind.__qualname__, len(value)), _iter_series(value), numeric=True)
        if issubclass(kind, pl.LazyFrame):
            return "is a polars.LazyFrame, which has no values yet: call .collect()"
        if isinstance(value, pl.DataType) or (isinstance(value, type) and issubclass(value, pl.DataType)):
            return make_leaf("polars.DataType", str(value))
        if kind.__module__.partition(".")[0] != "polars" or issubclass(kind, type):
            return None
        return f"is a {kind.__module__}.{kind.__qualname__}: {_ALTERNATIVE}"

    def seed(self, seed: int) -> None:
        pl.set_random_seed(seed)

    def save_global_states(self) -> Callable[[], None]:
        order = _CARDS.sample(fraction=1, shuffle=True).to_series().to_list()
        drawn = int.from_bytes(hashlib.blake2b(bytes(order), digest_size=8).digest(), "little")
        return lambda: pl.set_random_seed(drawn)

    def seeding_functions(self) -> Iterable[tuple[Any, str, Effect]]:
        return [(pl, "set_random_seed", "seeds")]

    def environment(self) -> dict[str, str]:
        return {"polars": pl.__version__, "polars threads": str(pl.thread_pool_size())}


adapter = Polars()
