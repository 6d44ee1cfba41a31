"""Reads arrays, typed keys and the nodes of trees: what a library has registered with ``jax.tree_util``.

Trees hold functions beside arrays (an activation, ``apply_fn``): they are compared by their name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from pytest_repro.adapters._numpy_arrays import describe as describe_numpy
from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.adapters._numpy_arrays import read_small_array as read_small
from pytest_repro.adapters._python_values import flatten_value
from pytest_repro.core.runs.observation import Leaf, Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult

_TRACER = (
    "is a tracer: it has no values while JAX compiles or differentiates the function; "
    "return it from the function, and record the result"
)
_DELETED = "was deleted or donated to a compiled function: record it before that, or record a copy"
_ELSEWHERE = (
    "is partly on devices of other processes: record jax.experimental.multihost_utils.process_allgather(x), "
    "or [shard.data for shard in x.addressable_shards]"
)
_REF: type | None = getattr(jax.core, "Ref", None) or getattr(jax, "Ref", None)


def is_tracer(value: object) -> bool:
    """Whether *value* stands for an array in a function that JAX traces."""
    return issubclass(type(value), jax.core.Tracer)


def is_array(value: object) -> bool:
    """Whether *value* is an array with values: neither a tracer nor a typed key."""
    return issubclass(type(value), jax.Array) and not is_tracer(value) and not is_key(value)


def is_key(value: Any) -> bool:
    """Whether *value* is an array of typed keys, as ``jax.random.key`` returns."""
    return bool(jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key))


def flatten_jax(value: Any) -> FlattenResult:
    """An array, a key, a reference, or what only describes one; None for any other value."""
    kind = type(value)
    if issubclass(kind, jax.core.Tracer):  # touching it could fail or add to what is compiled
        return _TRACER
    if issubclass(kind, jax.Array):
        return _flatten_array(value)
    if issubclass(kind, jax.ShapeDtypeStruct):
        return "is a jax.ShapeDtypeStruct: it has a shape, but no values"
    if _REF is not None and issubclass(kind, _REF):
        return Parts("jax ref", [("", value[...])], numeric=True)
    return None


def _flatten_array(array: Any) -> FlattenResult:
    if array.is_deleted():
        return _DELETED
    if not (array.is_fully_addressable or array.is_fully_replicated):
        return _ELSEWHERE
    if is_key(array):
        kind = f"key<{jax.random.key_impl(array)}>{list(array.shape)}"
        return Parts(kind, [("", jax.random.key_data(array))], numeric=True)
    values = np.asarray(array)  # waits for it; without a copy on a CPU
    leaf = flatten_array(_widen(values))
    assert isinstance(leaf, Leaf)
    name = f"{values.dtype.name}{list(values.shape)}"
    return replace(leaf, kind=f"{name} weak" if array.weak_type else name, metadata=_describe_place(array))


def read_small_array(array: Any) -> tuple[object, bytes] | None:
    """Dtype, shape and weak type, and the bytes, of a small array of numbers; None for others."""
    try:
        if (read := read_small(np.asarray(array))) is None:
            return None
    except RuntimeError:  # it was deleted, or is partly elsewhere
        return None
    return (*read[0], array.weak_type), read[1]  # type: ignore[misc]


def describe(kind_key: Any) -> tuple[str, str, tuple[int, ...]]:
    """Kind, dtype and shape of what :func:`read_small_array` read."""
    *key, weak_type = kind_key
    kind, dtype, shape = describe_numpy(tuple(key))
    return f"{kind} weak" if weak_type else kind, dtype, shape


def _widen(values: Any) -> Any:
    """Integers of 2 and 4 bits as int8 or uint8, which have the same numbers; others unchanged."""
    name = values.dtype.name
    return values.astype(name[:-1] + "8") if name in ("int2", "int4", "uint2", "uint4") else values


def _describe_place(array: Any) -> str:
    """``"jax, cpu"``; ``"jax, 4 × gpu"`` of an array on several devices."""
    devices = array.devices()
    count = f"{len(devices)} × " if len(devices) > 1 else ""
    return f"jax, {count}{next(iter(devices)).platform}"


def copy_at_offset(array: Any, offset: int) -> Any:
    """A copy of *array*; JAX chooses where it begins.

    Raises:
        ValueError: *offset* is not 0.
    """
    if offset:
        raise ValueError(f"offset {offset} of a JAX array: JAX places every array at a multiple of 64 bytes")
    return array.copy()


_tree: Any = jax.tree_util
_LEAVES = {bool, int, float, complex, str, bytes}
_KNOWN_TYPES = (dict, list, tuple, set, frozenset, type(None))
"""What the standard library's adapter reads, by itself or as a base class."""


class _Partial(NamedTuple):
    func: object
    args: object
    keywords: object


def is_node(value: object) -> bool:
    """Whether the type of *value* is registered as a node of trees, by whatever library."""
    return not _tree.all_leaves((value,))


def flatten_node(value: object) -> FlattenResult:
    """The parts of a registered node by the names that users write; None for other values."""
    kind = type(value)
    if issubclass(kind, jax.tree_util.Partial):
        return flatten_value(read_constant(value))
    if kind in _LEAVES or issubclass(kind, _KNOWN_TYPES) or not is_node(value):
        return None
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind) if hasattr(value, field.name)]
        return Parts(kind.__qualname__, ((f".{name}", read_constant(getattr(value, name))) for name in names))
    return Parts(kind.__qualname__, _iter_children(value))


def _iter_children(value: object) -> Iterator[tuple[str, object]]:
    children, structure = _tree.tree_flatten_with_path(value, is_leaf=lambda part: part is not value)
    constants = structure.node_data()[1]
    keys = [path[0] for path, _ in children]
    names = list(constants) if isinstance(constants, (list, tuple)) else []
    are_names = len(names) == len(keys) and all(isinstance(name, (str, int)) for name in names)
    for number, (key, (_, part)) in enumerate(zip(keys, children)):
        by_name = are_names and isinstance(key, _tree.FlattenedIndexKey)
        yield f"[{names[number]!r}]" if by_name else _format_key(key), read_constant(part)
    if constants is not None and not are_names:
        yield ".aux_data", read_constant(constants)


def _format_key(key: Any) -> str:
    return f"[{key.key}]" if isinstance(key, _tree.FlattenedIndexKey) else str(key)


def read_constant(value: Any) -> object:
    """*value*, with functions, types and dtypes in it replaced by their names."""
    kind = type(value)
    if isinstance(value, (np.dtype, type)) or _is_function(value):
        return _make_text_leaf(value)
    if issubclass(kind, partial):
        return _Partial(*map(read_constant, (value.func, value.args, value.keywords)))
    if kind in (list, tuple):
        return kind(map(read_constant, value))
    if issubclass(kind, tuple) and hasattr(kind, "_make"):
        return kind._make(map(read_constant, value))
    if kind is dict:
        return {name: read_constant(part) for name, part in value.items()}
    return value


def _is_function(value: object) -> bool:
    """Whether *value* is called by name: a function, also a compiled one, or a method."""
    return callable(value) and isinstance(_find_name(value), str) and not is_node(value)


def _find_name(function: object) -> Any:
    return getattr(function, "__qualname__", None) or getattr(function, "__name__", None)


def _make_text_leaf(value: Any) -> Leaf:
    name = value.name if isinstance(value, np.dtype) else f"{value.__module__}.{_find_name(value)}"
    kind = "dtype" if isinstance(value, np.dtype) else "type" if isinstance(value, type) else "function"
    return make_leaf(kind, str(name))
