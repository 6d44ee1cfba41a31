"""PIL (Pillow): images of every mode.

Seeded: `rand()` of the C library: `Image.effect_noise` and `effect_spread` draw from it, and Pillow cannot
    seed it. On Linux with the C library of GNU.
Restored: the state of `rand()`, bit for bit.
Switches: none.
Read: pixels as an array, `image[3, 5, 0]` (row, column, band), `image.mode`, `image.getpalette()`,
    `image.info['transparency']`; each frame of an animation, `image.seek(2)`. A file is loaded.
Captured: images.
Environment: the versions of Pillow, and of the libraries that decode JPEG, PNG, TIFF and WebP.
Limits: the class of an image and the name of its file are not compared. Fonts and drawings are not read.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy
import PIL
from PIL import Image, features

from pytest_repro.adapters import Adapter
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

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


_FOR_ZERO = 0x9E3779B9  # ``srand(0)`` would give the same numbers as ``srand(1)``
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


_GENERATOR = CRandom()
_DECODERS = ("jpg", "zlib", "libtiff", "webp")


def _iter_frames(image: Any) -> Iterator[tuple[str, object]]:
    """The frames of an animation, and which is the current one, as it is again afterwards."""
    current = image.tell()
    yield ".tell()", current
    try:
        for number in range(image.n_frames):
            image.seek(number)
            yield f".seek({number})", numpy.array(image)
    finally:
        image.seek(current)


def _iter_parts(image: Any) -> Iterator[tuple[str, object]]:
    image.load()
    yield "", numpy.array(image)
    yield ".mode", image.mode
    yield ".size", image.size
    if image.mode in ("P", "PA"):
        mode = image.palette.mode
        yield f".getpalette({mode!r})", numpy.array(image.getpalette(mode), numpy.uint8)
    yield ".info", dict(image.info)
    if getattr(image, "is_animated", False):
        yield from _iter_frames(image)


@cache
def _read_versions() -> dict[str, str]:
    names = {name: features.version(name) or "none" for name in _DECODERS}
    return {"pillow": PIL.__version__, **{f"pillow {name}": version for name, version in names.items()}}


class Pillow(Adapter):
    """Images, and the generator of the C library that their effects draw from."""

    def flatten(self, value: object) -> FlattenResult:
        return (
            Parts("Image", _iter_parts(value), numeric=True) if issubclass(type(value), Image.Image) else None
        )

    def seed(self, seed: int) -> None:
        _GENERATOR.seed(seed)

    def save_global_states(self) -> Callable[[], None]:
        state = _GENERATOR.get_state()
        return lambda: _GENERATOR.set_state(state)

    def global_states_key(self) -> object:
        return _GENERATOR.get_key()

    def global_generators(self) -> Mapping[str, object]:
        return {"rand() of the C library": _GENERATOR} if _GENERATOR.is_available else {}

    def get_state(self, generator: object) -> str | None:
        return generator.get_state().hex() if type(generator) is CRandom else None

    def set_state(self, generator: Any, state: str) -> None:
        generator.set_state(bytes.fromhex(state))

    def state_key(self, generator: object) -> object:
        return generator.get_state() if type(generator) is CRandom else None

    def state_api_hint(self, generator: object) -> str:
        return "ctypes.CDLL(None).srand(…)"

    def environment(self) -> dict[str, str]:
        return _read_versions()


adapter = Pillow()
