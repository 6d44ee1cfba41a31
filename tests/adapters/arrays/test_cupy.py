"""The adapter of CuPy."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import digest, find_array_adapter
from pytest_repro.engine.runs.pin import pinned

gpu = pytest.mark.gpu


@pytest.fixture
def cupy() -> Any:
    return pytest.importorskip("cupy")


def test_no_device_is_needed(cupy: Any) -> None:
    """Where CuPy is installed, on any machine: what it uses of CuPy exists, and its hooks do not raise."""
    code = """
    import cupy, cupyx.scipy.sparse, os
    from pytest_repro import pinned, seed_all
    from pytest_repro.adapters import active_adapters, environment_with_flags
    from pytest_repro.adapters.arrays import cupy as module
    assert module._find_generators() is cupy.random._generator._random_states
    assert all(hasattr(cupyx.scipy.sparse, name) for name in module._SPARSE_PARTS if "array" not in name)
    assert all(hasattr(cupy, name) for name in ("asnumpy", "concatenate", "empty"))
    seed_all(1)
    with pinned(2):
        assert os.environ["CUPY_SEED"] == "2"
    active_adapters()["cupy"].synchronize()
    print(environment_with_flags()["cupy"], "CUPY_SEED" in os.environ)
    """
    run = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [cupy.__version__, "False"]


@gpu
def test_arrays_are_equal_to_those_of_numpy(cupy: Any) -> None:
    for dtype in ("float16", "float32", "complex64", "int8", "bool"):
        array = np.arange(6).reshape(2, 3).astype(dtype)
        assert digest(cupy.asarray(array)) == digest(array)
        assert digest(cupy.asarray(array).T) == digest(array.T)


@gpu
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


@gpu
def test_global_generators_are_seeded_and_restored(cupy: Any) -> None:
    cupy.random.seed(1)
    expected = digest(cupy.random.random(4))
    cupy.random.seed(1)
    with pinned(7):
        first = digest(cupy.random.random(4))
    with pinned(7):
        assert digest(cupy.random.random(4)) == first
    assert digest(cupy.random.random(4)) == expected


@gpu
def test_generators_cannot_be_recorded(cupy: Any) -> None:
    with pytest.raises(TypeError, match=r"^value is a random generator whose state cannot be read"):
        digest(cupy.random.RandomState(1))
