"""Reads the nodes of JAX's trees: what a library has registered with ``jax.tree_util``.

Trees hold functions beside arrays (an activation, ``apply_fn``): they are compared by their name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from pytest_repro.adapters._python_values import flatten_value
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult

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
    content = str(name).encode()
    return Leaf(kind, "", (), len(content), lambda: (memoryview(content),))
