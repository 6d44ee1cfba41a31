"""Reads an array of any strides as contiguous blocks, without a whole copy.

An array whose neighbours in memory are no neighbours in C order (a transposed matrix) is copied
in blocks of 8 MiB, tile by tile, so that a line of memory is read once: 0.2 to 0.6 of the time of
a whole copy with ``contiguous()``. Any other (a slice, an expanded row) is copied in blocks of
1 MiB, which are hashed while they are in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.blocks import iter_block_indices

ROW_BLOCK_BYTES, TILED_BLOCK_BYTES = 2**20, 2**23
"""Bytes in a block, by whether C order goes along memory or across it."""

_TILE, _NARROW_TILE, _CACHE_SET_STRIDE = 128, 16, 2048
# Elements of a tile beside those along memory. Where they are a multiple of 2 KiB apart they
# compete for the same lines of the cache: then 16 take half the time of 128, else twice as much.

_MIN_TILED_LENGTH = 8
# Elements along memory within a block: fewer do not fill a cache line.


def iter_blocks(array: NDArray[Any], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """The elements of *array* in C order, as contiguous blocks of *dtype*.

    Args:
        array: Any shape and strides.
        dtype: What to convert to; of the same size.

    Yields:
        Blocks in one buffer that is used again: each is valid until the next is taken.
    """
    along = _fastest_axis(array)
    limit = (ROW_BLOCK_BYTES if along == array.ndim - 1 else TILED_BLOCK_BYTES) // array.dtype.itemsize
    buffer = np.empty(min(limit, array.size), dtype)
    for cut in iter_block_indices(array.shape, limit):
        source = array[cut]
        target = buffer[: source.size].reshape(source.shape)
        _copy(target, source, along - (array.ndim - source.ndim))
        yield target


def is_transposed(array: NDArray[Any]) -> bool:
    """Whether neighbours in memory are no neighbours in C order, as in a transposed matrix."""
    return _fastest_axis(array) != array.ndim - 1


def _fastest_axis(array: NDArray[Any]) -> int:
    """The axis along which memory is read one element after the other; the last one if any will do."""
    if array.ndim and not array.strides[-1]:
        return array.ndim - 1  # a row of one value, however it came there
    steps = [(abs(s), -i) for i, (s, n) in enumerate(zip(array.strides, array.shape)) if s and n > 1]
    return -min(steps)[1] if steps else array.ndim - 1


def _copy(target: NDArray[Any], source: NDArray[Any], fastest_axis: int) -> None:
    if fastest_axis < 0 or fastest_axis == source.ndim - 1 or source.shape[fastest_axis] < _MIN_TILED_LENGTH:
        target[...] = source
        return
    target, source = np.moveaxis(target, fastest_axis, 0), np.moveaxis(source, fastest_axis, 0)
    tile = _TILE if source.strides[-1] % _CACHE_SET_STRIDE else _NARROW_TILE
    for cut in iter_block_indices(source.shape[1:], tile):
        target[(slice(None), *cut)] = source[(slice(None), *cut)]
