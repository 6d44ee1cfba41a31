"""Reads sparse matrices and arrays: format, shape, and each stored entry in sorted order.

Explicit zeros and duplicates are stored entries, as ``nnz`` says. The order in which entries are stored and
the dtype of the indices are layout, like the strides of an array: they are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_repro.core.runs.observation import Parts

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
