"""xarray: DataArray, Dataset, Variable, DataTree.

Seeded: nothing.
Restored: nothing.
Switches: none.
Read: `x` itself, `x.coords['time']`, `dataset['temperature']`; dimensions, names and attributes are compared.
Captured: all of them.
Environment: its version.
Limits: Lazy arrays of dask are refused: call `.compute()`. The order of variables, encodings and indexes that
have no coordinate are not compared, as in `identical()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import numpy as np
import xarray as xr

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.tables._columns import make_objects_leaf
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_ALTERNATIVE = "record its result, a DataArray or a Dataset"


def _read_data(variable: Any) -> object:
    """The array of a variable, loaded if it is in a file."""
    index = variable.to_index() if isinstance(variable, xr.IndexVariable) else None
    if index is not None and index.nlevels > 1:
        return index
    if variable.chunks is not None:
        return _Lazy()
    data = variable.data
    if isinstance(data, np.ndarray) or type(data).__module__.partition(".")[0] not in ("xarray", "numpy"):
        return _Objects(data) if getattr(getattr(data, "dtype", None), "hasobject", False) else data
    return _Objects(variable.values) if variable.dtype.hasobject else variable.values


class _Lazy:
    """The values of a variable that are not computed yet."""


class _Objects:
    """An array of Python objects, in C order."""

    def __init__(self, values: Any) -> None:
        self.values = values


def _iter_variable(variable: Any) -> Iterator[tuple[str, object]]:
    yield "", _read_data(variable)
    yield ".dims", tuple(map(str, variable.dims))
    yield from _iter_attributes(variable)


def _iter_attributes(value: Any) -> Iterator[tuple[str, object]]:
    if value.attrs:
        yield ".attrs", dict(value.attrs)
    yield from _iter_own_attributes(value)


def _iter_own_attributes(value: Any) -> Iterator[tuple[str, object]]:
    """What a subclass adds: xarray's own classes have no ``__dict__``."""
    own = takewhile(lambda kind: kind.__module__.partition(".")[0] != "xarray", type(value).__mro__)
    names = {
        name for kind in own for name in (*getattr(kind, "__slots__", ()), *getattr(value, "__dict__", ()))
    }
    yield from ((f".{name}", getattr(value, name)) for name in sorted(names) if hasattr(value, name))


def _iter_array(array: Any) -> Iterator[tuple[str, object]]:
    yield from _iter_variable(array.variable)
    yield ".name", array.name
    yield from _iter_named(".coords", array.coords)
    yield from _iter_own_attributes(array)


def _iter_named(start: str, variables: Any) -> Iterator[tuple[str, object]]:
    """Variables by name, in name order."""
    for name in sorted(variables, key=str):
        yield f"{start}[{name!r}]", variables[name].variable


def _iter_dataset(dataset: Any) -> Iterator[tuple[str, object]]:
    yield from _iter_named("", dataset.data_vars)
    yield from _iter_named(".coords", dataset.coords)
    yield from _iter_attributes(dataset)


def _iter_tree(tree: Any) -> Iterator[tuple[str, object]]:
    yield ".dataset", tree.to_dataset()
    yield from ((f"[{name!r}]", tree.children[name]) for name in sorted(tree.children))


_READERS = (
    (xr.DataArray, _iter_array),
    (xr.Dataset, _iter_dataset),
    (xr.Variable, _iter_variable),
    *([(xr.DataTree, _iter_tree)] if hasattr(xr, "DataTree") else []),
)


class Xarray(Adapter):
    """Arrays with labels."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if kind is _Lazy:
            return "is a lazy array, which has no values yet: call .compute()"
        if kind is _Objects:
            shape = "" if value.values.ndim == 1 else f" {list(value.values.shape)}"
            return make_objects_leaf(f"object{shape}", value.values.reshape(-1))
        for base, iter_parts in _READERS:
            if issubclass(kind, base):
                # An index variable is a variable that was made in another way.
                name = "Variable" if kind is xr.IndexVariable else kind.__qualname__
                return Parts(name, iter_parts(value), numeric=True)
        if kind.__module__.partition(".")[0] != "xarray" or issubclass(kind, type):
            return None
        return f"is a {kind.__module__}.{kind.__qualname__}: {_ALTERNATIVE}"

    def environment(self) -> dict[str, str]:
        return {"xarray": xr.__version__}


adapter = Xarray()
