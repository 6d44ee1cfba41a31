"""Counts where the differing elements of an array are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.core.compare.plot_data import get_cells, get_matrix_shape


class PlaceCounter:
    """Counts differing elements by the cell of a heat map that they are in."""

    def __init__(self, shape: Sequence[int]) -> None:
        self._shape = get_matrix_shape(shape)
        self.counts = np.zeros(get_cells(self._shape), "i8")

    def add(self, indices: NDArray[Any]) -> None:
        """Adds elements by their flat indices."""
        rows, columns = np.divmod(indices, self._shape[1])
        cells = [
            index * count // size
            for index, count, size in zip((rows, columns), self.counts.shape, self._shape)
        ]
        flat = cells[0] * self.counts.shape[1] + cells[1]
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
