"""numba: the generators of compiled code, and threads.

Seeded: the generators that `np.random` and `random` are in compiled code, of the thread that runs the test.
Restored: both of them, bit for bit, and the number of threads.
Switches: none.
Read: arrays are those of numpy; typed lists and dicts as lists and dicts.
Captured: typed lists and dicts of arrays.
Environment: versions of numba and llvmlite, the number of threads, the processor that code is compiled for.
Limits: each thread of `prange` has generators of its own, which the operating system seeds at their first
  use: they cannot be seeded from outside. A seed set in compiled code is not noticed. `fastmath` reorders
  sums: they are equal in each run, and differ between versions and processors, as the axis `isa` shows. The
  axis `threads` sets at most `NUMBA_NUM_THREADS` threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, ClassVar

import numba
from numba import _helperlib as _compiled_helpers

from pytest_repro.adapters import Adapter
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_helperlib: Any = _compiled_helpers
_STATE_NBYTES = 2520
"""Position, 624 words, whether there is a second Gaussian, it, and whether the state is initialized: see
``numba.cpython.randomimpl.rnd_state_t``. ``rnd_get_state`` leaves the Gaussian out and takes 27 µs."""


class CompiledGenerator:
    """A generator of compiled code; *get_address* returns the address of its state in this thread."""

    def __init__(self, get_address: Callable[[], int]) -> None:
        self.get_address = get_address

    def read(self) -> bytes:
        return ctypes.string_at(self.get_address(), _STATE_NBYTES)

    def write(self, state: bytes) -> None:
        ctypes.memmove(self.get_address(), state, len(state))


def _find_generators() -> dict[str, CompiledGenerator]:
    """The generators by name; none if this version of numba keeps their states otherwise."""
    names = {"numba numpy.random": "rnd_get_np_state_ptr", "numba random": "rnd_get_py_state_ptr"}
    if not all(hasattr(_helperlib, name) for name in (*names.values(), "rnd_get_state", "rnd_seed")):
        return {}
    generators = {name: CompiledGenerator(getattr(_helperlib, getter)) for name, getter in names.items()}
    return generators if all(map(_has_known_layout, generators.values())) else {}


def _has_known_layout(generator: CompiledGenerator) -> bool:
    position, words = _helperlib.rnd_get_state(generator.get_address())
    memory = memoryview(ctypes.string_at(generator.get_address(), 625 * 4)).cast("i")
    return memory[0] == position and [word % 2**32 for word in memory[1:]] == list(words)


_GENERATORS = _find_generators()


@lru_cache(maxsize=16)
def _make_seeded_state(seed: int) -> bytes:
    """The state after ``np.random.seed(seed)`` in compiled code; numba takes 12 µs."""
    generator = next(iter(_GENERATORS.values()))
    before = generator.read()
    _helperlib.rnd_seed(generator.get_address(), seed)
    state = generator.read()
    generator.write(before)
    return state


def have_threads_started() -> bool:
    """Whether numba has started its threads: asking numba for their number would start them."""
    return bool(getattr(sys.modules.get("numba.np.ufunc.parallel"), "_is_initialized", False))


def _read_thread_count() -> int:
    return int(numba.get_num_threads() if have_threads_started() else numba.config.NUMBA_NUM_THREADS)


def _set_thread_count(number: int) -> None:
    if number != _read_thread_count():
        numba.set_num_threads(number)


class Numba(Adapter):
    """Generators of compiled code, and threads."""

    settings: ClassVar = {"numba.get_num_threads()": (_read_thread_count, _set_thread_count)}

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if kind.__module__ == "numba.typed.typedlist" and kind.__name__ == "List":
            return Parts("numba.typed.List", ((f"[{number}]", part) for number, part in enumerate(value)))
        if kind.__module__ == "numba.typed.typeddict" and kind.__name__ == "Dict":
            return Parts("numba.typed.Dict", [("", dict(value))])
        if kind is CompiledGenerator:
            return Parts("numba generator", [(".state", value.read())])
        return None

    def kind_name(self, value: object) -> str:
        return "numba generator" if type(value) is CompiledGenerator else ""

    def seed(self, seed: int) -> None:
        for generator in _GENERATORS.values():
            generator.write(_make_seeded_state(seed))

    def global_generators(self) -> Mapping[str, object]:
        return _GENERATORS

    def save_global_states(self) -> Callable[[], None]:
        saved = [(generator, generator.read()) for generator in _GENERATORS.values()]

        def restore() -> None:
            for generator, state in saved:
                generator.write(state)

        return restore

    def global_states_key(self) -> object:
        return [generator.read() for generator in _GENERATORS.values()]

    def get_state(self, generator: object) -> str | None:
        state = self.state_key(generator)
        return state.hex() if isinstance(state, bytes) else None

    def set_state(self, generator: Any, state: str) -> None:
        content = bytes.fromhex(state)
        if len(content) != _STATE_NBYTES:
            raise ValueError(f"a state of {len(content)} bytes: expected {_STATE_NBYTES}")
        generator.write(content)

    def state_key(self, generator: object) -> object:
        return generator.read() if type(generator) is CompiledGenerator else None

    def state_api_hint(self, generator: object) -> str:
        return "np.random.seed(…) or random.seed(…) in compiled code"

    @contextmanager
    def deterministic(self, mode: Deterministic) -> Iterator[None]:
        """Restores the number of threads."""
        before = _read_thread_count()
        try:
            yield
        finally:
            _set_thread_count(before)

    @contextmanager
    def limit_threads(self, number: int) -> Iterator[None]:
        before = _read_thread_count()
        _set_thread_count(min(number, numba.config.NUMBA_NUM_THREADS))
        try:
            yield
        finally:
            _set_thread_count(before)

    def why_not_forkable(self) -> str:
        return "numba has started its threads" if have_threads_started() else ""

    def environment(self) -> dict[str, str]:
        return {
            "numba": numba.__version__,
            "llvmlite": str(getattr(sys.modules.get("llvmlite"), "__version__", "unknown")),
            "numba threads": str(_read_thread_count()),
            "numba processor": os.environ.get("NUMBA_CPU_NAME", "") or "this one",
        }


adapter = Numba()
