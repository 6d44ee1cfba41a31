"""Cuts an array into blocks that follow each other in C order."""

from __future__ import annotations

import math
from collections.abc import Iterator

BlockIndex = tuple["int | slice", ...]


def iter_block_indices(shape: tuple[int, ...], limit: int) -> Iterator[BlockIndex]:
    """Index tuples of blocks of at most *limit* elements, in C order.

    Joined one after the other, the blocks' elements are the whole array's in C order, so a
    strided array can be read without a whole copy.

    Args:
        shape: Lengths of the axes.
        limit: Elements in a block, at least 1.
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
