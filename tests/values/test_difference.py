from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.plan.plan import EXACT, Tolerance, default_tolerance
from pytest_repro.values.difference import _BLOCK, measure_difference
from pytest_repro.values.dtypes import view_bits

_REAL = ("float16", "float32", "float64")
_CLOSE = Tolerance(0.01, 0.1)


def measured(element: str, a: Any, b: Any, tolerance: Tolerance = EXACT, pieces: int = 1) -> Difference:
    flat = np.ascontiguousarray(b).reshape(-1).view("u1").data
    step = max(1, b.size // pieces) * b.dtype.itemsize
    stream = [flat[at : at + step] for at in range(0, flat.nbytes, step)]
    return measure_difference(element, a.shape, memoryview(a.tobytes()), stream, tolerance)


def steps(a: float, b: float, kind: Any) -> int:
    """Representable numbers from *a* to *b*, counted one by one in sign and magnitude."""
    size = kind().itemsize
    sign = 1 << (8 * size - 1)
    x, y = (int(view_bits(kind.__name__, memoryview(kind(v).tobytes()))[0]) for v in (a, b))
    signed = [-(code - sign) if code >= sign else code for code in (x, y)]
    return int(abs(signed[0] - signed[1]))


@dataclass
class Naive:
    """The whole array at once, element by element in Python."""

    element: str
    tolerance: Tolerance

    def __call__(self, a: Any, b: Any) -> dict[str, Any]:
        x, y, size = a.ravel(), b.ravel(), a.dtype.itemsize
        raw = [(x[i : i + 1].tobytes(), y[i : i + 1].tobytes()) for i in range(x.size)]
        where = [i for i, (left, right) in enumerate(raw) if left != right]
        finite = [i for i in where if math.isfinite(x[i]) and math.isfinite(y[i])]
        wide = [(float(x[i]), float(y[i])) for i in finite]
        largest = float(np.finfo("f8").max)
        gaps = [min(abs(q - p), largest) for p, q in wide]
        shares = [min(abs(q - p) / abs(p), largest) for p, q in wide if p and p != q]
        close = np.isclose(y, x, rtol=self.tolerance.rtol, atol=self.tolerance.atol, equal_nan=True)
        assert size
        return {
            "differing": len(where),
            "total": x.size,
            "non_finite": len(where) - len(finite),
            "outside_tolerance": len(where) if self.tolerance.exact else sum(not close[i] for i in where),
            "max_abs": max(gaps, default=None),
            "max_rel": max(shares, default=None),
            "max_ulp": max((steps(p, q, a.dtype.type) for p, q in wide), default=None),
            "first_index": tuple(int(k) for k in np.unravel_index(where[0], a.shape)) if where else None,
        }


def arrays(element: str) -> st.SearchStrategy[tuple[Any, Any]]:
    floats = st.floats(width=np.dtype(element).itemsize * 8)  # type: ignore[arg-type]
    usual = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.05, 3.0, math.nan, math.inf, -math.inf])
    pairs = st.tuples(usual | floats, usual | floats) | (usual | floats).map(lambda v: (v, v))

    def built(rows: list[tuple[float, float]]) -> tuple[Any, Any]:
        both = np.array(rows, element).reshape(-1, 2)
        return both[:, 0].reshape(-1, 1), both[:, 1].reshape(-1, 1)

    return st.lists(pairs, max_size=40).map(built)


@pytest.mark.parametrize("tolerance", [EXACT, _CLOSE])
@pytest.mark.parametrize("element", _REAL)
@given(data=st.data(), pieces=st.integers(1, 5))
def test_equals_the_naive_count(element: str, tolerance: Tolerance, data: st.DataObject, pieces: int) -> None:
    a, b = data.draw(arrays(element))
    with np.errstate(all="ignore"):
        expected = Naive(element, tolerance)(a, b)
    found = measured(element, a, b, tolerance, pieces)
    for name, value in expected.items():
        close = isinstance(value, float) and value < 1e300
        assert getattr(found, name) == (pytest.approx(value, rel=1e-6) if close else value), name


@pytest.mark.parametrize("changed", [1, _BLOCK // 4, 3 * _BLOCK])
def test_equals_numpy_over_many_blocks(changed: int) -> None:
    generator = np.random.default_rng(changed)
    a = generator.standard_normal((3, _BLOCK + 5))
    b = a.copy()
    where = generator.choice(a.size, changed, replace=False)
    b.reshape(-1)[where] *= 1 + 1e-9 * generator.random(changed)
    found = measured("float64", a, b, Tolerance(5e-10, 0.0), pieces=3)
    assert found.differing == np.count_nonzero(a != b)
    assert found.outside_tolerance == np.count_nonzero(~np.isclose(b, a, 5e-10, 0))
    assert found.max_abs == np.abs(b - a).max()
    assert found.max_rel == (np.abs(b - a) / np.abs(a)).max()
    assert found.first_index == tuple(int(i[0]) for i in np.nonzero(a != b))


@pytest.mark.parametrize(
    "element", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128", "int32"]
)
@pytest.mark.parametrize("apart", [0.0, 0.3, 3.0, math.nan])
def test_agrees_with_assert_close(element: str, apart: float) -> None:
    torch = pytest.importorskip("torch")
    tolerance = default_tolerance(element)
    a = torch.tensor([0.0, 1.0, -3.0, 100.0]).to(getattr(torch, element))
    room = apart * (tolerance.atol + tolerance.rtol * a.abs().double()) if apart == apart else apart
    b = (a.to(torch.complex128 if a.is_complex() else torch.float64) + room).to(a.dtype)
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}[a.itemsize]
    found = measured(element, a.view(bits).numpy(), b.view(bits).numpy(), tolerance)
    said = f"Mismatched elements: {found.outside_tolerance} / 4"
    with pytest.raises(AssertionError, match=said) if found.outside_tolerance else nullcontext():
        torch.testing.assert_close(b, a, equal_nan=True)


def test_two_finite_numbers_may_be_further_apart_than_a_float_can_tell() -> None:
    largest = float(np.finfo("f4").max)
    found = measured("float32", np.array([-largest], "f4"), np.array([largest], "f4"))
    assert (found.max_abs, found.non_finite) == (2 * largest, 0)
    largest = float(np.finfo("f8").max)
    found = measured("float64", np.array([-largest]), np.array([largest]))
    assert (found.max_abs, found.non_finite) == (largest, 0)


@pytest.mark.parametrize(
    ("element", "low", "high"),
    [("int64", -(2**63), 2**63 - 1), ("uint64", 0, 2**64 - 1), ("int8", -128, 127)],
)
def test_integers_do_not_overflow(element: str, low: int, high: int) -> None:
    found = measured(element, np.array([low, 7], element), np.array([high, 7], element))
    assert (found.differing, found.max_abs, found.max_ulp) == (1, float(high - low), None)
    assert found.first_values == (str(low), str(high))
    assert found.max_rel == (None if low == 0 else pytest.approx((high - low) / -low))


@pytest.mark.skipif(np.dtype("g").itemsize != 16, reason="longdouble is float64 here")
def test_longdouble_is_not_rounded() -> None:
    one = np.array([1], "g")
    found = measured("longdouble", one, one + np.finfo("g").eps)
    assert (found.differing, found.max_abs) == (1, float(np.finfo("g").eps))


def test_complex_counts_steps_by_component() -> None:
    a = np.array([1 + 1j, 2j])
    b = np.array([1 + np.nextafter(1, 2) * 1j, 2j])
    assert (measured("complex128", a, b).max_ulp, measured("complex128", a, b).differing) == (1, 1)


def test_bytes_without_numbers_only_differ() -> None:
    found = measured("raw3", np.array([b"abc", b"abd"]), np.array([b"abc", b"abe"]))
    assert (found.differing, found.total, found.max_abs, found.first_index) == (1, 2, None, (1,))


def test_a_scalar_has_an_empty_index_and_empty_arrays_do_not_differ() -> None:
    assert measured("float32", np.float32(1), np.float32(2)).first_index == ()
    assert measured("float32", np.zeros((0, 3), "f4"), np.zeros((0, 3), "f4")) == Difference(0, 0, 0)
