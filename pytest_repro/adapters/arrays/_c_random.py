"""The generator of ``rand()`` in the C library of GNU, which has no function that reads its state."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_WORDS = (2, 8, 16, 32, 64)
"""Words of the state by its type, ``state[0] % 5``, as ``random_r.c`` of glibc lays it out."""


def _load_library() -> Any:
    """The C library, called without releasing the lock of the interpreter; None for any but GNU's."""
    if not sys.platform.startswith("linux"):
        return None
    library: Any = ctypes.PyDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_uint
    library.initstate.restype = library.setstate.restype = pointer
    library.initstate.argtypes = [number, pointer, ctypes.c_size_t]
    library.setstate.argtypes = [pointer]
    library.srand.argtypes = [number]
    library.initial_state = library.initstate(0, _address, _SPARE_NBYTES)
    library.setstate(library.initial_state)
    library.initial_nbytes = _count_bytes(library.initial_state)
    return library


_FOR_ZERO = 0x9E3779B9
"""``srand(0)`` would give the same numbers as ``srand(1)``."""
_SPARE_NBYTES = 128
_spare_state = ctypes.create_string_buffer(_SPARE_NBYTES)
_address = ctypes.addressof(_spare_state)
"""Where ``rand()`` has its state while the real one is read: only then that holds its position."""


def _count_bytes(state: int) -> int:
    """The size of the state at an address, by its type."""
    return 4 * _WORDS[ctypes.c_int.from_address(state).value % len(_WORDS)]


_library = _load_library()


class CRandom:
    """``rand()``, ``srand()`` and ``random()`` of the process."""

    @property
    def is_available(self) -> bool:
        return _library is not None

    def seed(self, seed: int) -> None:
        """0 … 2**32 - 1."""
        if _library is not None:
            _library.srand(seed or _FOR_ZERO)

    def get_key(self) -> bytes:
        """Equal until a number is drawn: the words of the state, which takes 0.4 µs instead of 1 to 7.

        It does not change once a program has installed another state with ``initstate()``.
        """
        if _library is None:
            return b""
        # The first word holds the position as it was when the state was read last.
        return ctypes.string_at(_library.initial_state + 4, _library.initial_nbytes - 4)

    def get_state(self) -> bytes:
        """The state: ``b""`` if it cannot be read here."""
        if _library is None:
            return b""
        current = _library.setstate(_address)
        try:
            return ctypes.string_at(current, _count_bytes(current))
        finally:
            _library.setstate(current)

    def set_state(self, state: bytes) -> None:
        """Restores what :meth:`get_state` returned.

        Raises:
            ValueError: It is a state of another size.
        """
        if _library is None:
            return
        current = _library.setstate(_address)
        try:
            if len(state) != (size := _count_bytes(current)):
                raise ValueError(f"the state of rand() has {size} bytes, not {len(state)}")
            ctypes.memmove(current, state, size)
        finally:
            _library.setstate(current)
