"""jax: arrays, typed keys, trees of every library that registers its types with `jax.tree_util`.

Seeded: nothing: a key is a value, and JAX has no global generator.
Restored: the flags that could change a result, if a test changes them.
Switches: `--xla_gpu_deterministic_ops` is added to `XLA_FLAGS` if a plugin for GPUs is installed and JAX has
  not started its devices; it stays in effect. A warning says if it is too late.
Read: arrays of every dtype, sharded arrays, typed keys by implementation and data, references. Registered
  types by the names of their parts: dataclasses (Equinox, `flax.struct`), named tuples (optax), `FrozenDict`.
Captured: arrays, keys, and the arrays in trees.
Environment: versions of jax and jaxlib, devices, `XLA_FLAGS`, flags such as `jax_enable_x64`.
Limits: weak types are part of the kind. Functions in a tree are compared by their name. Tracers, and arrays
  that were deleted, donated or are partly in other processes, cannot be recorded. No device is started.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import jax

from pytest_repro.adapters import Adapter, FastReader
from pytest_repro.adapters.arrays import _jax_flags as _flags
from pytest_repro.adapters.arrays._jax_values import (
    copy_at_offset,
    describe,
    flatten_jax,
    flatten_node,
    is_array,
    read_small_array,
)
from pytest_repro.core.runs.pytree import FlattenResult

_ARRAY_TYPES = filter(None, [getattr(sys.modules.get("jax._src.array"), "ArrayImpl", None)])  # private


class Jax(Adapter):
    """Arrays, typed keys, trees, flags."""

    immutable_arrays: ClassVar[bool] = True
    fast_readers: ClassVar[Mapping[type, FastReader]] = dict.fromkeys(_ARRAY_TYPES, read_small_array)

    def describe(self, kind_key: object) -> tuple[str, str, tuple[int, ...]]:
        return describe(kind_key)

    def flatten(self, value: Any) -> FlattenResult:
        result = flatten_jax(value)
        return flatten_node(value) if result is None else result

    def is_array(self, value: object) -> bool:
        return is_array(value)

    def copy_array(self, array: Any) -> Any:
        return array.copy()

    copy_at_offset = staticmethod(copy_at_offset)

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        return jax.numpy.concatenate(arrays)

    deterministic = staticmethod(_flags.deterministic)
    leave_switches = staticmethod(_flags.leave_switches)

    def switch_values(self) -> Iterable[tuple[str, object]]:
        # A device is not picklable, and starting one is not for us: it is only restored.
        return [pair for pair in _flags.read_flags().items() if pair[0] != "jax_default_device"]

    def set_switch(self, name: str, value: object) -> bool:
        if name not in _flags.read_flags():
            return False
        _flags.set_flag(name, value)
        return True

    def why_not_forkable(self) -> str:
        return "JAX has started its threads" if _flags.are_backends_started() else ""

    def synchronize(self) -> None:
        if _flags.are_backends_started():
            jax.effects_barrier()
            for array in jax.live_arrays():
                array.block_until_ready()

    def environment(self) -> dict[str, str]:
        return {
            "jax": jax.__version__,
            "jaxlib": str(getattr(sys.modules.get("jaxlib"), "__version__", "unknown")),
            "jax devices": _flags.describe_devices(),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        }

    def flags(self) -> dict[str, str]:
        return _flags.list_result_flags()


adapter = Jax()
