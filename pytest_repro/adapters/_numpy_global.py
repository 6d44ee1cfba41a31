"""Reads the state of numpy's legacy global generator from memory: ``get_state()`` takes 40 µs.

It is written by ``set_state()`` alone.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from pytest_repro.interpose.patch import real_id

_random: Any = np.random
_GENERATOR: Any = _random.get_state.__self__
_MT19937_NBYTES = 625 * 4  # 624 words and the position in them
_GAUSS_NBYTES = 16  # whether there is a second number of a pair, and it


def _find_gauss() -> int:
    """Where a ``RandomState`` keeps the second number of a pair, which has no address; 0 if unknown."""
    generator: Any = np.random.RandomState(np.random.MT19937(0))
    size, offsets = getattr(type(generator), "__basicsize__", 0), list[int]()
    for has_gauss, gauss in ((1, 0.8314629), (0, 0.2718281), (1, -3.1415926)):
        generator.set_state({**generator.get_state(legacy=False), "has_gauss": has_gauss, "gauss": gauss})
        memory = ctypes.string_at(real_id(generator), size)
        offset = memory.find(struct.pack("d", gauss)) - 8
        if offset < object.__basicsize__ or struct.unpack_from("i", memory, offset)[0] != has_gauss:
            return 0
        offsets.append(offset)
    return offsets[0] if len(set(offsets)) == 1 else 0


_GAUSS = _find_gauss()


def has_known_layout() -> bool:
    """Whether the state can be read from memory: its generator is the usual one, of a known version."""
    return bool(_GAUSS) and type(_random.get_bit_generator()) is np.random.MT19937


def read_memory() -> tuple[bytes, bytes]:
    """The state, only if :func:`has_known_layout`."""
    words = ctypes.string_at(_random.get_bit_generator().ctypes.state_address, _MT19937_NBYTES)
    return words, ctypes.string_at(real_id(_GENERATOR) + _GAUSS, _GAUSS_NBYTES)


def seed_all(seed: int) -> None:
    """Seeds the global generator, of whatever kind it is."""
    generator = _random.get_bit_generator()
    if isinstance(generator, np.random.MT19937):
        np.random.seed(seed)
    else:  # np.random.seed() refuses what set_bit_generator() installed
        fresh = type(generator)(seed).state
        np.random.set_state({**fresh, "has_gauss": 0, "gauss": 0.0})


def make_comparable(state: Any) -> object:
    """*state* with arrays as bytes, which compare with ``==``; 30 times as fast as JSON."""
    if isinstance(state, dict):
        return {name: make_comparable(part) for name, part in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def read_key() -> object:
    """The state, to be compared."""
    return read_memory() if has_known_layout() else make_comparable(np.random.get_state(legacy=False))


def _decode_memory(words: bytes, gauss: bytes) -> dict[str, Any]:
    """What ``get_state(legacy=False)`` would have returned."""
    numbers, (has_gauss, number) = np.frombuffer(words, np.uint32), struct.unpack("i4xd", gauss)
    state = {"key": numbers[:-1], "pos": int(numbers[-1])}
    return {"bit_generator": "MT19937", "state": state, "has_gauss": has_gauss, "gauss": number}


def save_state() -> Callable[[], None]:
    """Saves the state and the bit generator. The function it returns restores both."""
    generator, is_known = _random.get_bit_generator(), has_known_layout()
    memory = read_memory() if is_known else None
    state = None if is_known else np.random.get_state(legacy=False)

    def restore() -> None:
        if _random.get_bit_generator() is not generator:
            _random.set_bit_generator(generator)
        if memory is None:
            assert state is not None
            np.random.set_state(state)
        elif not has_known_layout() or read_memory() != memory:
            np.random.set_state(_decode_memory(*memory))

    return restore
