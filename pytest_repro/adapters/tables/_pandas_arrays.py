"""Arrays of pandas as leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.adapters.tables._columns import make_element_leaf, make_number_leaf, make_objects_leaf
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult

MASK = ".isna()"
"""Path of the mask of missing elements."""


def flatten_pandas_array(array: Any) -> FlattenResult:
    """A one-dimensional array of any dtype of pandas, or why it cannot be recorded."""
    if isinstance(array, np.ndarray):
        return _flatten_numpy(array)
    kind = type(array)
    reader = next((_READERS[base.__name__] for base in kind.__mro__ if base.__name__ in _READERS), None)
    if reader is None or kind.__module__.partition(".")[0] != "pandas":
        return f"is of the extension dtype {array.dtype}: record an array of the numbers or texts in it"
    return reader(array)


def _flatten_numpy(array: Any) -> FlattenResult:
    if array.dtype == object:
        return make_objects_leaf("object", array)
    leaf = flatten_array(array)
    return make_number_leaf(leaf.kind, array) if isinstance(leaf, Leaf) else leaf


def _flatten_masked(array: Any) -> FlattenResult:
    """Integers, floats and bools that may be missing: what lies under the mask is no value."""
    mask = np.asarray(array.isna())
    values = array._data  # no copy
    if mask.any():
        values = values.copy()
        values[mask] = values.dtype.type(0)
    title = f"{array.dtype.name}[{len(array)}]"
    return Parts(
        array.dtype.name, (("", make_number_leaf(title, values)), (MASK, flatten_array(mask))), numeric=True
    )


def _flatten_times(array: Any) -> FlattenResult:
    """Datetimes, timedeltas and periods, as integers in their unit."""
    return make_number_leaf(f"{array.dtype}[{len(array)}]", array.asi8)


def _flatten_text(array: Any) -> FlattenResult:
    """Text, however it is stored: all missing elements of a column are the same value."""
    name = array.dtype.name
    if hasattr(array, "_pa_array"):
        return _flatten_arrow(array)
    cells = np.array(array, dtype=object)
    cells[np.asarray(array.isna())] = None
    kind = f"{name}[{len(cells)}]"
    leaf = make_objects_leaf(name, cells)
    if isinstance(leaf, Leaf) and leaf.dtype != "utf8":  # nothing but missing elements
        return make_element_leaf(kind, "utf8", np.full(len(cells), -1, "i4"), [])
    return _rename_kind(leaf, kind)


def _rename_kind(leaf: FlattenResult, kind: str) -> FlattenResult:
    """*leaf* with another kind."""
    return replace(leaf, kind=kind) if isinstance(leaf, Leaf) else leaf


def _flatten_arrow(array: Any) -> FlattenResult:
    from pytest_repro.adapters.tables._arrow import flatten_arrow

    stored: Any = array.__arrow_array__()
    chunks = stored.chunks if hasattr(stored, "chunks") else [stored]
    return flatten_arrow(chunks, stored.type, array.dtype.name, MASK)


def _flatten_categorical(array: Any) -> Parts:
    """Codes, and the categories in their order."""
    name = "ordered category" if array.ordered else "category"
    codes = make_number_leaf(f"category[{len(array)}]", np.asarray(array.codes).astype("i4"))
    return Parts(name, (("", codes), (".cat.categories", array.categories)), numeric=True)


def _flatten_intervals(array: Any) -> Parts:
    sides = ((".left", array.left), (".right", array.right))
    return Parts(str(array.dtype), sides, numeric=True)


def _flatten_sparse(array: Any) -> FlattenResult:
    leaf = _flatten_numpy(np.asarray(array.to_dense()))
    return _rename_kind(leaf, f"{array.dtype}[{len(array)}]")


_READERS: dict[str, Callable[[Any], FlattenResult]] = {
    "BaseMaskedArray": _flatten_masked,
    "BaseStringArray": _flatten_text,
    "StringArray": _flatten_text,
    "ArrowStringArray": _flatten_text,
    "DatetimeLikeArrayMixin": _flatten_times,
    "Categorical": _flatten_categorical,
    "IntervalArray": _flatten_intervals,
    "SparseArray": _flatten_sparse,
    "ArrowExtensionArray": _flatten_arrow,
    "NumpyExtensionArray": lambda array: _flatten_numpy(array.to_numpy()),
    "PandasArray": lambda array: _flatten_numpy(array.to_numpy()),
}
"""Readers by class; that of the nearest base counts."""


def is_pandas_array(value: object) -> bool:
    """Whether *value* is an array of pandas."""
    return issubclass(type(value), pd.api.extensions.ExtensionArray)
