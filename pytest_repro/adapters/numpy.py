"""numpy: arrays, scalars, ``Generator``, the legacy global generator."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

import numpy as np

from pytest_repro.adapters import Adapter, EntropySource, FastReader
from pytest_repro.adapters._numpy.blocks import iter_blocks
from pytest_repro.adapters._numpy.generators import encode_state, read_state, to_comparable
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.patch import Patch, patch_everywhere

INLINE_BYTES = 512

_PLAIN_DTYPES = {np.dtype(c): np.dtype(c).name for c in "?bBhHiIlLqQefdFD"}


def _read_small_array(value: Any) -> tuple[object, bytes] | None:
    if value.nbytes > INLINE_BYTES or value.dtype not in _PLAIN_DTYPES:
        return None
    return (value.dtype, value.shape), value.tobytes()


def _element_dtype(dtype: np.dtype[Any]) -> str:
    if dtype in _PLAIN_DTYPES:
        return _PLAIN_DTYPES[dtype]
    if dtype.kind in "mM":
        return "int64"
    if dtype.kind in "iufc" and dtype.itemsize <= 16:
        return dtype.newbyteorder("=").name
    return f"raw{dtype.itemsize}" if dtype.itemsize else ""


def _format_kind(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """``float32[4, 8]``; byte order is no part of it, nor of the bytes that are hashed."""
    name = dtype.newbyteorder("=").name if dtype.kind not in "USV" else dtype.str.lstrip("<>|=")
    return f"{name}{list(shape)}"


def _to_little_endian(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _view_bytes(array: np.ndarray[Any, Any]) -> memoryview:
    """The memory of a C-contiguous array, as bytes."""
    if array.dtype.itemsize == 0:
        return memoryview(b"")
    return array.reshape(-1).view("u1").data


def _iter_buffers(array: np.ndarray[Any, Any]) -> Iterator[memoryview]:
    little = _to_little_endian(array.dtype)
    if array.flags.c_contiguous and array.dtype == little and array.dtype.char not in "gG":
        yield _view_bytes(array)
        return
    if not array.nbytes:
        return
    for block in iter_blocks(array, little):
        yield _clear_padding(block) if array.dtype.char in "gG" else _view_bytes(block)


def _clear_padding(block: np.ndarray[Any, Any]) -> memoryview:
    """x86's 80-bit floats fill 16 bytes, 6 of them with whatever was there before."""
    raw = block.reshape(-1).view("u1").reshape(-1, np.dtype("g").itemsize).copy()
    if np.finfo(np.longdouble).nmant == 63:
        raw[:, 10:] = 0
    return raw.reshape(-1).data


def _flatten_array(array: np.ndarray[Any, Any]) -> FlattenResult:
    dtype = array.dtype
    if dtype.hasobject:
        return f"is an array of Python objects ({dtype}): record the arrays or numbers in it"
    if isinstance(array, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(array)
        return Parts("masked", ((".data", array.filled(0)), (".mask", hidden)))
    if dtype.names is not None:  # field by field: the bytes between them are nobody's
        return Parts(f"record{list(array.shape)}", ((f"[{n!r}]", array[n]) for n in dtype.names))
    plain = array.view(np.ndarray)
    numeric = dtype.kind in "biufc"
    layout = "C" if plain.flags.c_contiguous else f"strides {plain.strides}"
    return Leaf(
        _format_kind(dtype, plain.shape), _element_dtype(dtype), plain.shape, plain.nbytes,
        lambda: _iter_buffers(plain), numeric, f"numpy, {layout}",
    )  # fmt: skip


_random: Any = np.random


class Numpy(Adapter):
    """Arrays and scalars; ``numpy.random``'s legacy global generator; unseeded bit generators."""

    fast_readers: ClassVar[Mapping[type, FastReader]] = {np.ndarray: _read_small_array}

    def describe(self, kind_key: Any) -> tuple[str, str, tuple[int, ...]]:
        dtype, shape = kind_key
        return _format_kind(dtype, shape), _PLAIN_DTYPES[dtype], shape

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, np.ndarray):
            return _flatten_array(value)
        if issubclass(kind, np.generic):
            opened = _flatten_array(np.asarray(value))
            # A scalar is a plain number: it counts when recorded, not among local variables.
            return opened if not isinstance(opened, Leaf) else _mark_non_numeric(opened)
        if issubclass(kind, np.random.Generator):
            return _flatten_generator("numpy.random.Generator", value.bit_generator.state)
        if issubclass(kind, np.random.RandomState):
            return _flatten_generator("numpy.random.RandomState", value.get_state(legacy=False))
        if issubclass(kind, np.random.BitGenerator):
            return _flatten_generator("numpy.random.BitGenerator", value.state)
        return None

    def seed(self, seed: int) -> None:
        generator = _random.get_bit_generator()
        if isinstance(generator, np.random.MT19937):
            np.random.seed(seed)
        else:  # set_bit_generator() put another one there, which np.random.seed() refuses
            fresh = type(generator)(seed).state
            np.random.set_state({**fresh, "has_gauss": 0, "gauss": 0.0})

    def save_global_states(self) -> Callable[[], None]:
        generator = _random.get_bit_generator()
        state = np.random.get_state(legacy=False)

        def restore() -> None:
            if _random.get_bit_generator() is not generator:
                _random.set_bit_generator(generator)
            np.random.set_state(state)

        return restore

    def global_states_key(self) -> object:
        return encode_state(np.random.get_state(legacy=False))

    @contextmanager
    def patch_entropy(self, source: EntropySource) -> Iterator[None]:
        """``default_rng()``, ``SeedSequence()``, ``RandomState()``, ``np.random.seed()``."""
        draw = source.getrandbits
        module: Any = np.random.bit_generator
        real = np.random.seed

        def seed_from_source(seed: Any = None) -> None:
            # Without a number numpy keeps the place in the stream that it had before.
            real(draw(32) if seed is None else seed)

        swaps = [Patch(np.random, "seed", seed_from_source)]
        if hasattr(module, "randbits"):  # a private name: left alone once it is gone
            swaps.append(Patch(module, "randbits", draw, owner_only=True))
        with patch_everywhere(swaps):
            yield

    def get_state(self, generator: Any) -> str | None:
        state = read_state(generator)
        return None if state is None else encode_state(state)

    def global_generators(self) -> Mapping[str, object]:
        return {"numpy.random": _random.get_state.__self__}

    def state_api_hint(self, generator: Any) -> str:
        if generator is _random.get_state.__self__:
            return "numpy.random.get_state(), numpy.random.set_state(…)"
        legacy = isinstance(generator, np.random.RandomState)
        state = ".state" if isinstance(generator, np.random.BitGenerator) else ".bit_generator.state"
        return ".get_state(), .set_state(…)" if legacy else f"{state}, {state} = …"

    def state_key(self, generator: Any) -> object:
        return to_comparable(read_state(generator))

    def set_state(self, generator: Any, state: str) -> None:
        if isinstance(generator, np.random.RandomState):
            generator.set_state(json.loads(state))
        else:
            getattr(generator, "bit_generator", generator).state = json.loads(state)

    def switches(self) -> dict[str, str]:
        return {"numpy.geterr()": str(np.geterr())}

    def environment(self) -> dict[str, str]:
        return {
            "numpy": np.__version__,
            **_read_build_info(),
            "numpy blas threads": _read_blas_threads(),
            "numpy blas kernels": os.environ.get("OPENBLAS_CORETYPE", "by CPU"),
        }


@cache
def _read_build_info() -> dict[str, str]:
    """What numpy was built with, and which of its kernels this CPU is given."""
    try:
        config: Any = np.show_config(mode="dicts")  # type: ignore[call-overload,unused-ignore]
    except TypeError:  # before numpy 1.25, which only prints it
        config = {}
    blas = config.get("Build Dependencies", {}).get("blas", {})
    simd = config.get("SIMD Extensions", {})
    return {
        "numpy blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "numpy simd": " ".join([*simd.get("baseline", ()), *simd.get("found", ())]) or "unknown",
    }


def _read_blas_threads() -> str:
    """What a BLAS reads when it starts; without that it takes every core there is."""
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
    asked = next((os.environ[name] for name in names if os.environ.get(name)), "")
    available = getattr(os, "sched_getaffinity", None)
    return asked or str(len(available(0)) if available else os.cpu_count())


def _flatten_generator(kind: str, state: Any) -> Parts:
    return Parts(kind, ((".state", state),), numeric=True)


def _mark_non_numeric(leaf: Leaf) -> Leaf:
    from dataclasses import replace

    return replace(leaf, numeric=False)


adapter = Numpy()
