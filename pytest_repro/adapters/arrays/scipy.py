"""scipy: sparse matrices and arrays, frozen distributions, quasi-random engines, interpolators, results.

Seeded: nothing of its own. `rvs()` draws from numpy's global generator; a `qmc` engine without `rng` from the operating system.
Restored: nothing.
Switches: none.
Read: sparse values of every format by their stored entries (`matrix.data[5]`), frozen distributions by name and arguments, engines by their state, rotations, interpolators and `OptimizeResult` by their parts.
Captured: sparse values and the arrays in the others.
Environment: version and BLAS.
Limits: the order of stored entries and the dtype of indices are layout and not compared; explicit zeros and duplicates are. Distributions of your own class are refused.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
import scipy

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.arrays._scipy_objects import (
    ATTRIBUTES,
    READERS,
    flatten_attributes,
    flatten_test_result,
)
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_OWN = {
    "_shape", "maxprint", "data", "indices", "indptr", "coords", "row", "col", "offsets", "rows", "dtype",
    "_dict", "has_canonical_format", "_has_canonical_format", "has_sorted_indices", "_has_sorted_indices",
}  # fmt: skip


def flatten_sparse(value: Any) -> Parts:
    """A sparse matrix or array of any format."""
    block = list(value.blocksize) if value.format == "bsr" else ""
    kind = f"{type(value).__qualname__}{list(value.shape)}{block and f' blocks {block}'}"
    return Parts(kind, _iter_parts(value))


def _iter_parts(value: Any) -> Iterator[tuple[str, object]]:
    if value.format in ("csr", "csc", "bsr"):
        yield from _iter_compressed(value)
    elif value.format == "lil":
        yield from _iter_compressed(value.tocsr())
    elif value.format == "dia":
        yield from _iter_diagonals(value)
    else:
        yield from _iter_coordinates(value.tocoo(copy=False))
    if not type(value).__module__.startswith("scipy."):
        yield from ((f".{name}", vars(value)[name]) for name in sorted(vars(value).keys() - _OWN))


def _iter_compressed(value: Any) -> Iterator[tuple[str, object]]:
    starts = np.asarray(value.indptr, np.int64)
    count = int(starts[-1])
    indices, data = np.asarray(value.indices[:count], np.int64), value.data[:count]
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    if np.any((np.diff(indices) < 0) & (np.diff(rows) == 0)):
        order = np.lexsort((indices, rows))  # stable: duplicates keep their order, in which they are added up
        indices, data = indices[order], data[order]
    yield from ((".indptr", starts), (".indices", indices), (".data", data))


def _iter_coordinates(value: Any) -> Iterator[tuple[str, object]]:
    coords = value.coords if hasattr(value, "coords") else (value.row, value.col)
    order = np.lexsort(coords[::-1])
    for axis, each in enumerate(coords):
        yield f".coords[{axis}]", np.asarray(each, np.int64)[order]
    yield ".data", value.data[order]


def _iter_diagonals(value: Any) -> Iterator[tuple[str, object]]:
    """Diagonals in order, without what lies outside of the matrix."""
    height, width = value.shape
    order = np.argsort(value.offsets, kind="stable")
    offsets = np.asarray(value.offsets, np.int64)[order]
    data = np.zeros((len(order), width), value.dtype)
    length = min(width, value.data.shape[1])
    data[:, :length] = value.data[order, :length]
    rows = np.arange(width) - offsets[:, None]
    data[(rows < 0) | (rows >= height)] = 0
    yield from ((".offsets", offsets), (".data", data))


@lru_cache(maxsize=512)
def _find_reader(kind: type) -> Callable[[Any], FlattenResult] | None:
    """How instances of *kind* are read; None if it is no class of scipy that is known."""
    for base in kind.__mro__:
        if not (base.__module__ or "").startswith("scipy."):
            continue
        if base.__name__ in ("_spbase", "spmatrix", "sparray"):
            return flatten_sparse
        if base.__name__ in READERS:
            return READERS[base.__name__]
        if base.__name__ in ATTRIBUTES:
            return partial(flatten_attributes, names=ATTRIBUTES[base.__name__])
        if issubclass(base, tuple) and hasattr(base, "_fields"):
            return flatten_test_result
    return None


class Scipy(Adapter):
    """Values of scipy; its submodules are not imported."""

    def flatten(self, value: Any) -> FlattenResult:
        kind: Any = type(value)
        reader = _find_reader(kind)
        return None if reader is None else reader(value)

    def environment(self) -> dict[str, str]:
        return {"scipy": scipy.__version__, "scipy blas": _read_blas()}


@cache
def _read_blas() -> str:
    try:
        config: Any = scipy.show_config(mode="dicts")
    except TypeError:  # scipy before 1.11 only prints it
        config = {}
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


adapter = Scipy()
