"""h5py: Dataset, Group, File.

Seeded: nothing.
Restored: nothing.
Switches: none.
Read: Path by path, in name order: `file['weights']['0']`, with the attributes as
`file['weights'].attrs['unit']`. A dataset is read in blocks of rows, as it is recorded.
Captured: open files, groups and datasets.
Environment: the versions of h5py and of HDF5.
Limits: A closed file is refused: record before it is closed. References are refused. Chunks, compression, the
name and mode of the file are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import h5py
import numpy as np

from pytest_repro.adapters import Adapter
from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.adapters.tables._columns import make_element_leaf
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.values.dtypes import view_bytes
from pytest_repro.values.elements import TEXT, encode_elements

_BLOCK_BYTES = 2**23
_CLOSED = "is in a file that is closed: record it before the file is closed, or record dataset[()]"


class _Values:
    """The values of a dataset, without its attributes."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset


class _BrokenLink:
    """A link to what is not there."""


def _iter_dataset(dataset: Any) -> Iterator[tuple[str, object]]:
    yield "", _Values(dataset)
    yield from _iter_attributes(dataset)


def _iter_attributes(value: Any) -> Iterator[tuple[str, object]]:
    yield from ((f".attrs[{name!r}]", _read_attribute(value, name)) for name in sorted(value.attrs))


def _read_attribute(value: Any, name: str) -> object:
    found = value.attrs[name]
    is_text = isinstance(found, np.ndarray) and found.dtype == object
    return found.tolist() if is_text else None if isinstance(found, h5py.Empty) else found


def _iter_group(group: Any) -> Iterator[tuple[str, object]]:
    for name in sorted(group):
        found = group.get(name)
        yield f"[{name!r}]", _BrokenLink() if found is None else found
    yield from _iter_attributes(group)


def _flatten_values(dataset: Any) -> FlattenResult:
    dtype, shape = dataset.dtype, dataset.shape
    if shape is None:
        return Leaf(f"empty {dtype}", "", (), 0, lambda: (), numeric=True)
    if h5py.check_string_dtype(dtype) is not None and dtype.hasobject:
        return _make_text_leaf(dataset)
    if dtype.hasobject or h5py.check_ref_dtype(dtype) is not None:
        return f"holds references or arrays of any length ({dtype}): record what they are of"
    if dtype.names is not None or dtype.kind in "OV" or not shape:
        return flatten_array(np.asarray(dataset[()]))
    leaf = flatten_array(np.empty((0, *shape[1:]), dtype))
    if not isinstance(leaf, Leaf):
        return leaf
    kind = f"{leaf.kind.partition('[')[0]}{list(shape)}"
    nbytes = int(np.prod(shape, dtype="i8")) * dtype.itemsize
    return replace(leaf, kind=kind, shape=shape, nbytes=nbytes, read_chunks=lambda: _read_blocks(dataset))


def _read_blocks(dataset: Any) -> Iterable[memoryview]:
    """The rows, some at a time: the values may be larger than the memory."""
    row = max(1, int(np.prod(dataset.shape[1:], dtype="i8")) * dataset.dtype.itemsize)
    step = max(1, _BLOCK_BYTES // row)
    for start in range(0, dataset.shape[0], step):
        block = dataset[start : start + step]
        yield view_bytes(np.ascontiguousarray(block, block.dtype.newbyteorder("<")))


def _make_text_leaf(dataset: Any) -> Leaf:
    cells = np.asarray(dataset[()], dtype=object).reshape(-1).tolist()
    encoded = [each if isinstance(each, bytes) else str(each).encode() for each in cells]
    lengths, data = encode_elements(encoded)
    return make_element_leaf(f"str{list(dataset.shape)}", TEXT, lengths, [data])


class H5py(Adapter):
    """Files, groups and datasets that are open."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if kind is _Values:
            return _flatten_values(value.dataset)
        if kind is _BrokenLink:
            return "is a link to something that does not exist"
        if not issubclass(kind, (h5py.Dataset, h5py.Group)):
            if kind.__module__.partition(".")[0] != "h5py" or issubclass(kind, type):
                return None
            return f"is a {kind.__module__}.{kind.__qualname__}: record a Dataset, a Group or a File"
        if not value:
            return _CLOSED
        if issubclass(kind, h5py.Dataset):
            return Parts("h5py.Dataset", _iter_dataset(value), numeric=True)
        return Parts("h5py.Group", _iter_group(value), numeric=True)

    def environment(self) -> dict[str, str]:
        return {"h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version}


adapter = H5py()
