"""Many integers as one value: those of a batch of texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.core.runs.pytree import FlattenResult


def read_integers(numbers: Sequence[object]) -> FlattenResult:
    """*numbers*, or equally long sequences of them, as an array of int64."""
    return flatten_array(numpy.array(numbers, numpy.int64))
