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

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy
import PIL
from PIL import Image, features

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.arrays._c_random import CRandom
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

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
