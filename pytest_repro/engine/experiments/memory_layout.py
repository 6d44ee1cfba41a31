"""Lays memory out in another way: addresses, and with them whatever hangs on their order, differ."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 20_000
_SIZES = (16, 496), (512, 4096)
"""Bytes of what is put between: Python serves up to 512 bytes from pools by size, and asks malloc for
more: for classes, the tables of dicts, small tensors."""


@contextmanager
def stirred(objects: int = _OBJECTS, way: int = 1) -> Iterator[None]:
    """Holds many small objects, and lets go of as many between them, so that others get other places.

    Args:
        objects: How many; with 0 all is as in a block that is stirred, but for the places.
        way: Which of the many layouts.
    """
    draw = random.Random(way)
    made: list[object] = [
        # Bytes are no objects that Python's garbage collector counts: gc.get_objects() stays as long.
        bytes(draw.randrange(*_SIZES[draw.random() < 0.1]))
        for _ in range(objects)
    ]
    draw.shuffle(made)
    del made[::2]
    yield
    made.clear()
