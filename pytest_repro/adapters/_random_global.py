"""The global generator of `random`, and states read from memory: `getstate()` makes 625 numbers, in 10 µs."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from pytest_repro.interpose.patch import real_id

_OFFSET = object.__basicsize__
_NBYTES = 4 * 625
"""The position and 624 words: ``RandomObject`` of CPython."""


def _read_memory(generator: random.Random) -> tuple[bytes, Any]:
    return ctypes.string_at(real_id(generator) + _OFFSET, _NBYTES), generator.gauss_next  # type: ignore[attr-defined]


def _decode_memory(memory: tuple[bytes, Any]) -> tuple[Any, ...]:
    position, *words = memoryview(memory[0]).cast("I")
    return random.Random.VERSION, (*words, position), memory[1]


def _has_known_layout() -> bool:
    generator = random.Random(3)
    generator.random()
    is_large = random.Random.__basicsize__ >= _OFFSET + _NBYTES and hasattr(generator, "gauss_next")
    return is_large and _decode_memory(_read_memory(generator)) == generator.getstate()


_IS_KNOWN = _has_known_layout()
read_state: Callable[[random.Random], Any] = _read_memory if _IS_KNOWN else random.Random.getstate
"""Equal for equal states, and for no others."""

decode_state: Callable[[Any], tuple[Any, ...]] = _decode_memory if _IS_KNOWN else tuple
"""What ``getstate()`` would have returned, from what :data:`read_state` did."""

GLOBAL_GENERATOR: random.Random = random.getstate.__self__  # type: ignore[attr-defined]
_seeded: tuple[int, Any] = -1, None
_saved: tuple[Any, tuple[Any, ...]] = None, ()


def _find_generator() -> random.Random:
    """The generator behind ``random.random()``: a program may have installed one of its own."""
    found = getattr(random.random, "__self__", None)
    return found if isinstance(found, random.Random) else GLOBAL_GENERATOR


def read_key() -> Any:
    """The state of the global generator, to be compared."""
    generator = _find_generator()
    return read_state(generator) if type(generator) is random.Random else generator.getstate()


def seed_all(seed: int) -> None:
    """Seeds the global generator: it takes 8 µs, to compare 0.5, and few phases of a test draw."""
    global _seeded
    generator = _find_generator()
    if type(generator) is not random.Random:
        generator.seed(seed)
    elif _seeded != (seed, read_state(generator)):
        random.Random.seed(generator, seed)  # a test may replace random.seed()
        if _seeded[0] != seed:  # read from another one, since a thread may draw from this one
            _seeded = seed, read_state(random.Random(seed))


def save_state() -> Callable[[], None]:
    """Saves the state of the global generator. The function it returns restores it."""
    global _saved
    generator = _find_generator()
    if type(generator) is not random.Random:
        return partial(generator.setstate, generator.getstate())
    found, saved = read_state(generator), _saved
    if saved[0] != found:  # most tests begin with the state of the one before
        _saved = saved = found, decode_state(found)
    return partial(random.Random.setstate, generator, saved[1])
