from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.blocks import iter_block_indices


@given(st.lists(st.integers(0, 7), max_size=4).map(tuple), st.integers(1, 60))
def test_blocks_in_a_row_are_the_array_in_c_order(shape: tuple[int, ...], limit: int) -> None:
    array = np.arange(math.prod(shape)).reshape(shape)
    blocks = [np.ravel(array[cut]) for cut in iter_block_indices(shape, limit)]
    assert np.concatenate(blocks).tolist() == array.ravel().tolist()
    assert all(block.size <= limit for block in blocks)
