"""Reads tensors, variables and modules of TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy
import tensorflow as tf

from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.core.runs.observation import Leaf, Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult

_SYMBOLIC = (
    "is a symbolic tensor: it has no values until the function runs; return it from the function, "
    "and record the result"
)
_PARTS: dict[type, tuple[str, ...]] = {
    tf.RaggedTensor: ("flat_values", "nested_row_splits"),
    tf.SparseTensor: ("indices", "values", "dense_shape"),
    tf.IndexedSlices: ("indices", "values", "dense_shape"),
    tf.random.Generator: ("algorithm", "state"),
}
_WORDS = (tf.TensorShape, tf.DType)
_EAGER_TENSOR: Any = getattr(sys.modules.get("tensorflow.python.framework.ops"), "EagerTensor", ())


def is_eager(value: object) -> bool:
    """Whether *value* is a tensor with values."""
    return issubclass(type(value), _EAGER_TENSOR)


def is_array(value: Any) -> bool:
    """Whether *value* is a tensor of numbers."""
    return is_eager(value) and value.dtype not in (tf.string, tf.resource, tf.variant)


def flatten_tensorflow(value: Any) -> FlattenResult:
    """A tensor, variable, generator or module; None for any other value."""
    kind = type(value)
    if issubclass(kind, tf.Tensor):
        return _flatten_tensor(value) if is_eager(value) else _SYMBOLIC
    if issubclass(kind, tf.Variable):
        return Parts("tf.Variable", [("", value.read_value())], numeric=True)
    names = next((names for base, names in _PARTS.items() if issubclass(kind, base)), ())
    if names:
        parts = ((f".{name}", getattr(value, name)) for name in names)
        return Parts(kind.__qualname__, parts, numeric=True)
    if issubclass(kind, _WORDS):
        return make_leaf(kind.__name__, str(value))
    if issubclass(kind, tf.data.Dataset):
        return "is a tf.data.Dataset: record what it yields, list(dataset.take(3))"
    return _flatten_module(value) if issubclass(kind, tf.Module) else None


def _flatten_tensor(tensor: Any) -> FlattenResult:
    if tensor.dtype in (tf.resource, tf.variant):
        return f"is a tensor of {tensor.dtype.name}, which has no values"
    values = tensor.numpy()
    if tensor.dtype == tf.string:
        texts = values.reshape(-1).tolist() if tensor.shape.rank else [values]
        content = b"".join(len(text).to_bytes(8, "little") + text for text in texts)
        return make_leaf(f"string{tensor.shape.as_list()}", content)
    if getattr(values.dtype, "names", None):  # qint8: a field of that name
        values = values[values.dtype.names[0]]
    leaf = flatten_array(values if hasattr(values, "strides") else tf.convert_to_tensor(values).numpy())
    assert isinstance(leaf, Leaf)
    kind = f"{tensor.dtype.name}{tensor.shape.as_list()}"
    device = tensor.device.rpartition(":")[0].rpartition(":")[2]
    return replace(leaf, kind=kind, metadata=f"tensorflow, {device}")


def _flatten_module(module: Any) -> FlattenResult:
    if not hasattr(module, "_flatten"):  # private
        return Parts(type(module).__qualname__, ((f".{v.name}", v) for v in module.variables), numeric=True)
    return Parts(type(module).__qualname__, _iter_values(module), numeric=True)


def _iter_values(module: Any) -> Iterator[tuple[str, object]]:
    """Variables, tensors, generators by path, as users write it: ``.blocks[0].kernel``, ``.heads['a']``."""
    seen = set[int]()
    for path, variable in module._flatten(predicate=_is_value, with_path=True):
        if id(variable) in seen:
            continue
        seen.add(id(variable))
        suffix, owner = "", module
        for key in path:
            is_item = isinstance(owner, (Mapping, list, tuple))
            suffix += f"[{key!r}]" if is_item else f".{key}"
            owner = owner[key] if is_item else getattr(owner, str(key), None)
        yield suffix, variable


def _is_value(value: Any) -> bool:
    kind = type(value)
    if issubclass(kind, numpy.ndarray):
        return bool(value.dtype != object)
    return issubclass(kind, (tf.Variable, tf.random.Generator)) or is_array(value)
