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
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import polars as pl

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.tables._columns import make_names_leaf, name_columns, read_own_attributes
from pytest_repro.adapters.tables._polars_series import Column, flatten_values
from pytest_repro.core.compare.table import format_table_kind
from pytest_repro.core.runs.observation import Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.seeding import Effect

_OWN = frozenset(["_df", "_s", "_accessors"])
_ALTERNATIVE = "record its result, a DataFrame or a Series"
_CARDS = pl.DataFrame({"card": list(range(20))})
"""Shuffled to draw a number: 20! orders are 61 bits."""


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
