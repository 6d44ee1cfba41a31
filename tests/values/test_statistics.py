"""Statistics, block by block, against numpy's over the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from pytest_repro.core.golden import Statistics
from pytest_repro.values.statistics import statistics


def told(array: NDArray[np.generic]) -> Statistics | None:
    return statistics(array.dtype.name, memoryview(array.tobytes()), array.nbytes)


dtypes = st.sampled_from(["f8", "f4", "i8", "u1", "?"])
small = arrays(dtypes, array_shapes(max_side=20)).filter(lambda a: bool(np.isfinite(a).all()))
large = arrays("f4", 70_000, elements=st.floats(-1e6, 1e6, width=32), fill=st.just(np.float32(3)))


@given(small | large)
def test_they_are_numpys(array: NDArray[np.generic]) -> None:
    found, wide = told(array), array.astype("f8")
    assert found is not None
    assert (found.min, found.max) == (wide.min(), wide.max())
    scale = float(np.abs(wide).max()) or 1.0
    if scale > 1e150:
        return  # squares are infinite
    assert found.mean == pytest.approx(wide.mean(), abs=1e-9 * scale)
    assert found.std == pytest.approx(wide.std(), rel=1e-6, abs=1e-9 * scale)
    assert found.l2 == pytest.approx(np.linalg.norm(wide.ravel()), rel=1e-9, abs=1e-300)
    assert found.elements[-1] == (array.size - 1, str(array.ravel()[-1]))


def test_far_from_zero_no_digit_is_lost() -> None:
    array = 1e9 + np.random.default_rng(0).random(100_000)
    found = told(array)
    assert found is not None
    assert found.std == pytest.approx(array.std(), rel=1e-6)


def test_a_nan_is_told() -> None:
    found = told(np.array([1.0, np.nan, 2.0] * 20_000))
    assert found is not None
    assert np.isnan([found.min, found.max, found.mean, found.std, found.l2]).all()
    assert found.elements[0] == (0, "1.0")


def test_text_and_nothing_have_none() -> None:
    assert statistics("", memoryview(b"abc"), 3) is None
    assert statistics("float32", memoryview(b""), 0) is None
    assert statistics("raw12", memoryview(b"x" * 12), 12) is None
