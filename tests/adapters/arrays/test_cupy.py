"""The adapter of CuPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import digest, find_array_adapter
from pytest_repro.engine.runs.pin import pinned

pytestmark = pytest.mark.gpu


@pytest.fixture
def cupy() -> Any:
    return pytest.importorskip("cupy")


def test_arrays_are_equal_to_those_of_numpy(cupy: Any) -> None:
    for dtype in ("float16", "float32", "complex64", "int8", "bool"):
        array = np.arange(6).reshape(2, 3).astype(dtype)
        assert digest(cupy.asarray(array)) == digest(array)
        assert digest(cupy.asarray(array).T) == digest(array.T)


def test_copies(cupy: Any) -> None:
    array = cupy.arange(6.0)
    adapter = find_array_adapter(array)
    assert adapter is not None
    for copy in (adapter.copy_array(array), adapter.copy_at_offset(array, 1)):
        assert digest(copy) == digest(array)
    assert adapter.copy_at_offset(array, 1).data.ptr % 16 == 8
    adapter.restore_array(array, array + 1)
    assert float(array[0]) == 1.0
    assert adapter.view_as_integers(array).dtype == np.int64


def test_global_generators_are_seeded_and_restored(cupy: Any) -> None:
    cupy.random.seed(1)
    expected = digest(cupy.random.random(4))
    cupy.random.seed(1)
    with pinned(7):
        first = digest(cupy.random.random(4))
    with pinned(7):
        assert digest(cupy.random.random(4)) == first
    assert digest(cupy.random.random(4)) == expected


def test_generators_cannot_be_recorded(cupy: Any) -> None:
    with pytest.raises(TypeError, match=r"^value is a random generator whose state cannot be read"):
        digest(cupy.random.RandomState(1))
