"""Lays memory out in another way: addresses, and with them whatever hangs on their order, differ."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 20_000
_SIZES = (16, 496)
"""Bytes of what is put between: Python serves up to 512 bytes from pools by size."""


class _Junk:
    """An object as those whose order by default hash is asked for."""


@contextmanager
def stirred() -> Iterator[None]:
    """Holds many small objects, and lets go of as many between them, so that others get other places."""
    draw = random.Random(1)
    made: list[object] = [
        _Junk() if draw.random() < 0.5 else bytes(draw.randrange(*_SIZES)) for _ in range(_OBJECTS)
    ]
    draw.shuffle(made)
    del made[::2]
    yield
    made.clear()
