"""Lays memory out in another way: addresses, and with them whatever hangs on their order, differ."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECT_COUNT = 20_000
_SIZE_RANGES = (16, 496), (512, 4096)
"""Bytes of what is put between: Python serves up to 512 bytes from pools by size, and asks malloc for
more: for classes, the tables of dicts, small tensors."""


@contextmanager
def shifted_heap(object_count: int = _OBJECT_COUNT, layout: int = 1) -> Iterator[None]:
    """Holds many small objects, and lets go of as many between them, so that others get other places.

    Args:
        object_count: How many; with 0 all is as in a block that is stirred, but for the places.
        layout: Which of the many layouts.
    """
    draw = random.Random(layout)
    made: list[object] = [
        # Bytes are no objects that Python's garbage collector counts: gc.get_objects() stays as long.
        bytes(draw.randrange(*_SIZE_RANGES[draw.random() < 0.1]))
        for _ in range(object_count)
    ]
    draw.shuffle(made)
    del made[::2]
    yield
    made.clear()
