"""How many elements are how far apart: the counts a histogram is drawn of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.plan.plan import EXACT
from pytest_repro.values.difference import _BLOCK, measure_difference
from tests.values.test_difference import arrays, steps


def counted(element: str, a: Any, b: Any) -> Any:
    return measure_difference(
        element, a.shape, memoryview(a.tobytes()), [memoryview(b.tobytes())], EXACT, True
    )


@pytest.mark.parametrize("element", ["float16", "float32", "float64"])
@given(data=st.data())
def test_each_finite_difference_is_in_the_bin_of_its_bits(element: str, data: st.DataObject) -> None:
    a, b = data.draw(arrays(element))
    found = counted(element, a, b)
    pairs = [(x, y) for x, y in zip(a.ravel(), b.ravel()) if x.tobytes() != y.tobytes()]
    bits = [steps(x, y, a.dtype.type).bit_length() for x, y in pairs if np.isfinite(x) and np.isfinite(y)]
    assert sum(found.ulp_counts) == found.differing - found.non_finite
    assert found.ulp_counts == tuple(bits.count(n) for n in range(max(bits, default=-1) + 1))


@given(st.integers(0, 2**63 - 1), st.integers(0, 62), st.integers(-1, 1))
def test_a_distance_beside_a_power_of_two_is_not_rounded_over_it(low: int, power: int, off: int) -> None:
    apart = max(2**power + off, 1)
    codes = np.array([low % 2**52, low % 2**52 + apart], "u8")
    a, b = codes[:1].view("f8"), codes[1:].view("f8")
    if np.isfinite(b).all() and int(codes[1]) < 2**63:
        assert counted("float64", a, b).ulp_counts[apart.bit_length()] == 1


def test_blocks_add_up_and_equal_elements_are_in_no_bin() -> None:
    a = np.ones(2 * _BLOCK + 7, "f4")
    b = a.copy()
    b[::3] = np.nextafter(np.float32(1), np.float32(2))
    b[-1], a[0], b[0] = np.inf, 0.0, -0.0
    found = counted("float32", a, b)
    assert found.ulp_counts == (1, found.differing - 2)
    assert found.non_finite == 1


def test_a_complex_element_counts_once_by_its_larger_part() -> None:
    a = np.array([1 + 1j, 2 + 2j], "c16")
    b = np.array([1 + 1j, np.nextafter(2, 3) + 1j * 2 * (1 + 2**-50)], "c16")
    assert counted("complex128", a, b).ulp_counts == (0, 0, 0, 1)


def test_nobody_asked_or_no_ulps_gives_no_counts() -> None:
    a, b = np.arange(3, dtype="f4"), np.arange(3, dtype="f4") + 1
    assert (
        measure_difference(
            "float32", (3,), memoryview(a.tobytes()), [memoryview(b.tobytes())], EXACT
        ).ulp_counts
        == ()
    )
    assert counted("int64", np.arange(3), np.arange(3) + 1).ulp_counts == ()
