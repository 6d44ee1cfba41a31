"""pandas: DataFrame, Series, Index, Categorical and all dtypes.

Seeded: nothing of its own. `sample()` draws from numpy's global generator, which is seeded.
Restored: nothing: pandas has no state of its own that draws.
Switches: none.
Read: Column by column: `frame['price']`, `frame.index`, `frame.columns`, without a copy of numbers. Dtypes,
names, the order of categories, the frequency of an index, `attrs` and attributes of subclasses are compared.
Captured: frames, series, indexes and arrays.
Environment: its version, and whether it calculates with bottleneck or numexpr.
Limits: Object columns hold numbers, texts and missing values; or at most 10,000 cells of any kind that can be
recorded. How text is stored and `flags` are not compared. Arrays of other libraries' dtypes are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.tables._columns import make_range_leaf, name_columns, read_own_attributes
from pytest_repro.adapters.tables._pandas_arrays import flatten_pandas_array, is_pandas_array
from pytest_repro.core.compare.table import format_table_kind
from pytest_repro.core.runs.observation import Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult

_OWN = frozenset({
    "_mgr", "_attrs", "_flags", "_name", "_item_cache", "_is_copy", "_cache", "_cacher", "_id", "_data",
    "_references", "_range", "_levels", "_codes", "_names", "_no_setting_name", "_reset_identity",
    "sortorder", "_freq",
})  # fmt: skip
"""Attributes that pandas itself sets on its objects."""

_ALTERNATIVE = "record its result: a DataFrame, a Series, an Index or an array"


def _name_class(value: Any) -> str:
    """The name of the class; a range is an index of integers that is stored in another way."""
    return "Index" if type(value) is pd.RangeIndex else type(value).__qualname__


def _flatten_frame(frame: Any) -> Parts:
    rows, columns = frame.shape
    return Parts(format_table_kind(_name_class(frame), rows, columns), _iter_frame(frame), numeric=True)


def _iter_frame(frame: Any) -> Iterator[tuple[str, object]]:
    yield ".columns", frame.columns
    for number, name in enumerate(name_columns(frame.columns.tolist())):
        yield name, _Values(frame.iloc[:, number].array)
    yield ".index", frame.index
    yield from _iter_attributes(frame)


def _iter_attributes(value: Any) -> Iterator[tuple[str, object]]:
    if value.attrs:
        yield ".attrs", value.attrs
    yield from read_own_attributes(value, _OWN)


def _flatten_series(series: Any) -> Parts:
    def iter_parts() -> Iterator[tuple[str, object]]:
        yield "", _Values(series.array)
        yield ".name", series.name
        yield ".index", series.index
        yield from _iter_attributes(series)

    return Parts(format_table_kind(_name_class(series), len(series)), iter_parts(), numeric=True)


def _flatten_index(index: Any) -> Parts:
    if isinstance(index, pd.MultiIndex):
        return Parts(_name_class(index), _iter_levels(index), numeric=True)

    def iter_parts() -> Iterator[tuple[str, object]]:
        if isinstance(index, pd.RangeIndex):
            yield "", make_range_leaf(range(index.start, index.stop, index.step))
        else:
            yield "", _Values(index.array)
        yield ".name", index.name
        if getattr(index, "freq", None) is not None:
            yield ".freq", index.freq
        yield from read_own_attributes(index, _OWN)

    return Parts(_name_class(index), iter_parts(), numeric=True)


def _iter_levels(index: Any) -> Iterator[tuple[str, object]]:
    """The labels level by level: how they are coded is no value."""
    for number in range(index.nlevels):
        yield f".get_level_values({number})", _Values(index.get_level_values(number).array)
    yield ".names", list(index.names)
    yield from read_own_attributes(index, _OWN)


class _Values:
    """The values of a column or an index, without its labels."""

    def __init__(self, array: Any) -> None:
        self.array = array


def _flatten_scalar(value: Any) -> FlattenResult:
    """A missing value, or a moment, span of time or interval with all that it says."""
    kind = type(value)
    if kind is type(pd.NA) or value is pd.NaT:
        return make_leaf(kind.__name__, kind.__name__)
    if kind is pd.Timestamp:
        return make_leaf(f"Timestamp[{value.unit}]", f"{value.isoformat()} {value.tz} fold {value.fold}")
    if kind is pd.Timedelta:
        return make_leaf(f"Timedelta[{value.unit}]", value.isoformat())
    if kind is pd.Period:
        return make_leaf(f"Period[{value.freqstr}]", str(value.ordinal))
    if issubclass(kind, pd.offsets.BaseOffset):
        return make_leaf(kind.__name__, _format_offset(value))
    if kind is pd.CategoricalDtype:
        return Parts(kind.__name__, ((".ordered", value.ordered), (".categories", value.categories)))
    if issubclass(kind, pd.api.extensions.ExtensionDtype):
        return make_leaf(kind.__name__, str(value))
    if kind is pd.Interval:
        sides = ((".left", value.left), (".right", value.right))
        return Parts(f"Interval[{value.closed}]", sides)
    return None


def _format_offset(offset: Any) -> str:
    """Its count and parameters, without the calendar that the holidays are from."""
    kwds = {name: part for name, part in offset.kwds.items() if name != "calendar"}
    return f"{offset}{kwds or ''}{' normalized' if offset.normalize else ''}"


class Pandas(Adapter):
    """Frames, series, indexes, arrays and scalars."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if kind is _Values:
            return flatten_pandas_array(value.array)
        if issubclass(kind, pd.DataFrame):
            return _flatten_frame(value)
        if issubclass(kind, pd.Series):
            return _flatten_series(value)
        if issubclass(kind, pd.Index):
            return _flatten_index(value)
        if kind.__module__.partition(".")[0] != "pandas":
            return None
        if is_pandas_array(value):
            return flatten_pandas_array(value)
        if (scalar := _flatten_scalar(value)) is not None:
            return scalar
        if issubclass(kind, type):
            return None
        return f"is a {kind.__module__}.{kind.__qualname__}: {_ALTERNATIVE}"

    def environment(self) -> dict[str, str]:
        return {"pandas": pd.__version__}

    def flags(self) -> dict[str, str]:
        names = ("compute.use_bottleneck", "compute.use_numexpr")
        return {f"pandas {name}": str(pd.get_option(name)) for name in names}


adapter = Pandas()
