"""Places in an array in C order: blocks that follow each other, the index of an element."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence


def iter_block_indices(shape: tuple[int, ...], limit: int) -> Iterator[tuple[int | slice, ...]]:
    """Index tuples of blocks of at most *limit* elements.

    The blocks' elements, one block after the other, are those of the array in C order: a strided array can be
    read without a copy of all of it.
    """
    total = math.prod(shape)
    if total <= limit or not shape:
        yield ()
        return
    inner = total // shape[0]
    if inner <= limit:
        step = limit // inner
        for start in range(0, shape[0], step):
            yield (slice(start, start + step),)
    else:
        for index in range(shape[0]):
            for rest in iter_block_indices(shape[1:], limit):
                yield (index, *rest)


def unravel_index(flat_index: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of the element number *flat_index* in C order."""
    index: list[int] = []
    for length in reversed(shape):
        flat_index, place = divmod(flat_index, max(length, 1))
        index.insert(0, place)
    return tuple(index)
