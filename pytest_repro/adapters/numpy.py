"""numpy: arrays, scalars, generators.

Seeded: the legacy global generator. `default_rng()` without a seed is reached only by the fixture `seeded`.
Restored: its state and its bit generator, bit for bit.
Switches: `numpy.seterr()`.
Read: arrays of every dtype but objects, masked and structured ones, generators; subclasses with attributes.
Captured: arrays and generators; not scalars.
Environment: numpy, its BLAS with threads and kernels, its SIMD extensions.
Limits: arrays of objects cannot be recorded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from pytest_repro.adapters import Adapter, EntropySource, FastReader
from pytest_repro.adapters import _numpy_global as _global
from pytest_repro.adapters._numpy_arrays import describe, flatten_array, read_small_array
from pytest_repro.core.machine import count_cores
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.patch import Patch, patch_everywhere
from pytest_repro.interpose.seeding import Effect

_random: Any = np.random
_GLOBAL_GENERATOR: Any = _random.get_state.__self__
_GENERATORS = (np.random.Generator, np.random.RandomState, np.random.BitGenerator)


def _read_state(generator: Any) -> Any:
    """The state of a generator, a nested dict with arrays; None for any other value."""
    kind = type(generator)
    if not issubclass(kind, _GENERATORS):
        return None
    if issubclass(kind, np.random.RandomState):
        return generator.get_state(legacy=False)
    return getattr(generator, "bit_generator", generator).state


def _encode_state(state: Any) -> str:
    return json.dumps(state, default=lambda array: array.tolist())


def _flatten_subclass(array: Any) -> Parts:
    """An array of a class that adds attributes, such as a unit; not those that are the array itself."""
    named = sorted(getattr(array, "__dict__", {}).items())
    attributes = ((f".{name}", value) for name, value in named if value is not array)
    return Parts(type(array).__qualname__, chain([("", array.view(np.ndarray))], attributes))


class Numpy(Adapter):
    """Arrays and scalars, generators, the legacy global generator."""

    fast_readers: ClassVar[Mapping[type, FastReader]] = {np.ndarray: read_small_array}
    settings: ClassVar = {"numpy.geterr()": (np.geterr, lambda errors: np.seterr(**errors))}

    describe = staticmethod(describe)

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, np.ndarray):
            is_plain = kind.__module__.partition(".")[0] == "numpy" or issubclass(kind, np.ma.MaskedArray)
            return flatten_array(value) if is_plain else _flatten_subclass(value)
        if issubclass(kind, np.generic):
            scalar = flatten_array(np.asarray(value))
            # Scalars are compared when recorded, but not as local variables.
            return replace(scalar, numeric=False) if isinstance(scalar, Leaf) else scalar
        if issubclass(kind, _GENERATORS):
            name = next(base.__name__ for base in _GENERATORS if issubclass(kind, base))
            return Parts(f"numpy.random.{name}", ((".state", _read_state(value)),), numeric=True)
        return None

    def kind_name(self, value: object) -> str:
        generators = (np.random.Generator, np.random.RandomState)
        return "numpy generator" if issubclass(type(value), generators) else ""

    def is_array(self, value: object) -> bool:
        return issubclass(type(value), np.ndarray)

    def copy_array(self, array: Any) -> Any:
        return array.copy()

    def copy_at_offset(self, array: Any, offset: int) -> Any:
        item_size, alignment = array.dtype.itemsize, 64
        buffer = np.zeros(array.nbytes + offset * item_size + alignment, dtype="u1")
        start = -buffer.ctypes.data % alignment + offset * item_size
        placed = buffer[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        placed[...] = array
        return placed

    def restore_array(self, array: Any, saved: Any) -> None:
        array[...] = saved

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        masked = any(isinstance(array, np.ma.MaskedArray) for array in arrays)
        return (np.ma if masked else np).concatenate(arrays)

    def view_as_integers(self, array: Any) -> Any:
        is_float = array.dtype.kind == "f" and array.dtype.itemsize <= 8
        return array.view(array.dtype.str.replace("f", "i")) if is_float else None  # in its byte order

    seed = staticmethod(_global.seed_all)
    save_global_states = staticmethod(_global.save_state)
    global_states_key = staticmethod(_global.read_key)

    def seeding_functions(self) -> Iterable[tuple[Any, str, Effect]]:
        names: dict[str, Effect] = {"seed": "seeds", "set_state": "restores", "set_bit_generator": "seeds"}
        return [(np.random, name, effect) for name, effect in names.items()]

    @contextmanager
    def patch_entropy(self, source: EntropySource) -> Iterator[None]:
        """``default_rng()``, ``SeedSequence()``, ``RandomState()``, ``np.random.seed()``."""
        draw = source.getrandbits
        module: Any = np.random.bit_generator
        real = np.random.seed

        def seed_from_source(seed: Any = None) -> None:
            # Calling the real seed() without a number would keep the position in the stream.
            real(draw(32) if seed is None else seed)

        patches = [Patch(np.random, "seed", seed_from_source)]
        if hasattr(module, "randbits"):  # private: numpy may remove it
            patches.append(Patch(module, "randbits", draw, owner_only=True))
        with patch_everywhere(patches):
            yield

    def get_state(self, generator: Any) -> str | None:
        state = _read_state(generator)
        return None if state is None else _encode_state(state)

    def global_generators(self) -> Mapping[str, object]:
        return {"numpy.random": _GLOBAL_GENERATOR}

    def state_api_hint(self, generator: Any) -> str:
        if generator is _GLOBAL_GENERATOR:
            return "numpy.random.get_state(), numpy.random.set_state(…)"
        legacy = isinstance(generator, np.random.RandomState)
        state = ".state" if isinstance(generator, np.random.BitGenerator) else ".bit_generator.state"
        return ".get_state(), .set_state(…)" if legacy else f"{state}, {state} = …"

    def state_key(self, generator: Any) -> object:
        return _global.make_comparable(_read_state(generator))

    def set_state(self, generator: Any, state: str) -> None:
        if isinstance(generator, np.random.RandomState):
            generator.set_state(json.loads(state))
        else:
            getattr(generator, "bit_generator", generator).state = json.loads(state)

    def environment(self) -> dict[str, str]:
        return {
            "numpy": np.__version__,
            **_read_build_info(),
            "numpy blas threads": _read_blas_threads(),
            "numpy blas kernels": os.environ.get("OPENBLAS_CORETYPE", "by CPU"),
        }


@cache
def _read_build_info() -> dict[str, str]:
    """The BLAS that numpy was built with, and the SIMD extensions that it uses on this CPU."""
    try:
        config: Any = np.show_config(mode="dicts")  # type: ignore[call-overload,unused-ignore]
    except TypeError:  # numpy before 1.25 only prints it
        config = {}
    blas = config.get("Build Dependencies", {}).get("blas", {})
    simd = config.get("SIMD Extensions", {})
    return {
        "numpy blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "numpy simd": " ".join([*simd.get("baseline", ()), *simd.get("found", ())]) or "unknown",
    }


def _read_blas_threads() -> str:
    """The variable that a BLAS reads when it starts, or else the number of cores."""
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
    variable = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return variable or str(count_cores())


adapter = Numpy()
