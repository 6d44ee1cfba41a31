"""Reads arrays and typed keys of JAX."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from pytest_repro.adapters._numpy_arrays import describe as describe_numpy
from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.adapters._numpy_arrays import read_small_array as read_small
from pytest_repro.core.runs.observation import Leaf, Parts
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
