"""cupy: device arrays, sparse matrices, the global generators.

Seeded: the global generators of all devices begin again in each run, through `CUPY_SEED`.
Restored: the global generators of before, bit for bit: a run uses others. `CUPY_SEED`.
Switches: none: `CUPY_ACCELERATORS` and `CUPY_TF32` are read when CuPy is imported.
Read: arrays of every dtype, copied to the host; sparse matrices and arrays by their parts.
Captured: arrays and sparse matrices.
Environment: version, CUDA runtime, `CUPY_ACCELERATORS`, `CUPY_TF32`.
Limits: the state of a generator is in cuRAND and cannot be read: record what it drew. A draw from a global
  generator that nothing seeded is not noticed. No device is started.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import cupy

from pytest_repro.adapters import Adapter
from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.seeding import Effect

_GENERATOR = "is a random generator whose state cannot be read: record what it drew"
_SPARSE_PARTS = {
    f"{name}_{kind}": parts
    for kind in ("matrix", "array")
    for name, parts in {
        "csr": ("data", "indices", "indptr", "shape"),
        "csc": ("data", "indices", "indptr", "shape"),
        "coo": ("data", "row", "col", "shape"),
        "dia": ("data", "offsets", "shape"),
    }.items()
}
_SEED_VARIABLE = "CUPY_SEED"
_SETTING_VARIABLES = ("CUPY_ACCELERATORS", "CUPY_TF32")
_active_blocks: list[str | None] = []


def _find_generators() -> dict[int, Any]:
    """The global generators by device: a private dict of CuPy, which creates each at its first use."""
    found = getattr(sys.modules.get("cupy.random._generator"), "_random_states", None)
    return found if isinstance(found, dict) else {}


def _restore_variable(before: str | None) -> None:
    os.environ.pop(_SEED_VARIABLE, None)
    if before is not None:
        os.environ[_SEED_VARIABLE] = before


@cache
def _has_device() -> bool:
    """Whether there is a device; starts none."""
    try:
        return bool(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # there is no driver
        return False


def _flatten_array(array: Any) -> FlattenResult:
    leaf = flatten_array(cupy.asnumpy(array))
    return replace(leaf, metadata=f"cupy, device {array.device.id}") if isinstance(leaf, Leaf) else leaf


class CuPy(Adapter):
    """Arrays, sparse matrices, the global generators."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, cupy.ndarray):
            return _flatten_array(value)
        if issubclass(kind, (cupy.random.RandomState, cupy.random.Generator)):
            return _GENERATOR
        names = _SPARSE_PARTS.get(kind.__name__) if kind.__module__.startswith("cupyx.") else None
        if names is None:
            return None
        return Parts(kind.__name__, ((f".{name}", getattr(value, name)) for name in names), numeric=True)

    def kind_name(self, value: object) -> str:
        generators = (cupy.random.RandomState, cupy.random.Generator)
        return "cupy generator" if issubclass(type(value), generators) else ""

    def is_array(self, value: object) -> bool:
        return issubclass(type(value), cupy.ndarray)

    def copy_array(self, array: Any) -> Any:
        return array.copy()

    def copy_at_offset(self, array: Any, offset: int) -> Any:
        buffer = cupy.empty(array.size + offset, array.dtype)  # begins at a multiple of 512 bytes
        placed = buffer[offset:].reshape(array.shape)
        placed[...] = array
        return placed

    def restore_array(self, array: Any, saved: Any) -> None:
        array[...] = saved

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        return cupy.concatenate(arrays)

    def view_as_integers(self, array: Any) -> Any:
        return array.view(array.dtype.str.replace("f", "i")) if array.dtype.kind == "f" else None

    def seed(self, seed: int) -> None:
        _find_generators().clear()  # CuPy creates them with this seed
        if _active_blocks:
            os.environ[_SEED_VARIABLE] = str(seed)
        elif "cupy.random._generator" in sys.modules and _has_device():
            cupy.random.seed(seed)  # outside of a run, nothing would restore the variable

    def save_global_states(self) -> Callable[[], None]:
        generators = _find_generators()
        saved = dict(generators)

        def restore() -> None:
            generators.clear()
            generators.update(saved)

        return restore

    def seeding_functions(self) -> Iterable[tuple[Any, str, Effect]]:
        return (cupy.random, "seed", "seeds"), (cupy.random, "set_random_state", "seeds")

    @contextmanager
    def deterministic(self, mode: Deterministic) -> Iterator[None]:
        """Restores the variable that seeds the generators which the block creates."""
        before = os.environ.get(_SEED_VARIABLE)
        _active_blocks.append(before)
        try:
            yield
        finally:
            _active_blocks.remove(before)
            _restore_variable(before)

    def synchronize(self) -> None:
        if _has_device():
            cupy.cuda.get_current_stream().synchronize()

    def environment(self) -> dict[str, str]:
        variables = {name: os.environ.get(name, "") for name in _SETTING_VARIABLES}
        return {"cupy": cupy.__version__, "cupy cuda": _read_runtime_version(), **variables}


def _read_runtime_version() -> str:
    try:
        return str(cupy.cuda.runtime.runtimeGetVersion())
    except Exception:  # there is no CUDA
        return "none"


adapter = CuPy()
