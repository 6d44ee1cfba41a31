from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.plan.plan import EXACT, Tolerance, default_tolerance
from pytest_repro.values.difference import _BLOCK, measure_cross_dtype_difference
from pytest_repro.values.dtypes import itemsize

ELEMENTS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "int64")
_CLOSE = Tolerance(0.01, 0.1)
_USUAL = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.05, 3.0, 1000.0, 1e-3, math.nan, math.inf, -math.inf])
_WHOLE = st.integers(-(2**63), 2**63 - 1)


def stored(element: str, values: list[Any]) -> bytes:
    """*values* as bytes of that dtype; bfloat16 by dropping the lower half of a float32."""
    if element == "bfloat16":
        return (np.array(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return np.array(values, np.dtype(element).newbyteorder("<")).tobytes()


def read(element: str, content: bytes) -> Any:
    """The numbers behind *content*, with none of the code under test."""
    if element == "bfloat16":
        return (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(content, np.dtype(element).newbyteorder("<"))


def cut(content: bytes, size: int, at: list[int]) -> list[memoryview]:
    """*content* in pieces, cut behind so many elements."""
    edges = [0, *sorted({each * size for each in at if each * size < len(content)}), len(content)]
    return [memoryview(content)[start:stop] for start, stop in pairwise(edges)]


def plain(a: Any, b: Any, shape: tuple[int, ...], tolerance: Tolerance) -> dict[str, Any]:
    """The same from whole arrays of float64, or complex128."""
    wide = np.result_type(a, b, np.float64)
    x, y = a.astype(wide), b.astype(wide)
    unequal = x.view("V8" if wide == "f8" else "V16") != y.view("V8" if wide == "f8" else "V16")
    where = np.flatnonzero(unequal)
    finite = unequal & np.isfinite(x) & np.isfinite(y)
    gaps = np.minimum(np.abs(y - x)[finite], np.finfo("f8").max)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    close = same | (finite & (np.abs(y - x) <= np.abs(x) * tolerance.rtol + tolerance.atol))
    return {
        "differing": len(where),
        "total": x.size,
        "outside_tolerance": len(where) if tolerance.exact else int((unequal & ~close).sum()),
        "non_finite": int(unequal.sum() - finite.sum()),
        "max_abs": gaps.max() if len(gaps) else None,
        "first_index": tuple(map(int, np.unravel_index(where[0], shape))) if len(where) else None,
        "max_ulp": None,
    }


def rows(element: str, size: int) -> st.SearchStrategy[list[Any]]:
    if element == "int64":
        return st.lists(st.integers(-5, 5) | _WHOLE, min_size=size, max_size=size)
    width = {"float16": 16, "float64": 64, "complex128": 64}.get(element, 32)
    real: Any = _USUAL | st.floats(width=width)  # type: ignore[arg-type]
    number = st.builds(complex, real, real) if element.startswith("complex") else real
    return st.lists(number, min_size=size, max_size=size)


@st.composite
def pairs(draw: st.DrawFn, elements: tuple[str, str]) -> tuple[bytes, bytes]:
    """Two arrays of two dtypes; some of the other's elements are the reference's, as it holds them."""
    size = draw(st.integers(0, 30))
    a = stored(elements[0], draw(rows(elements[0], size)))
    b = stored(elements[1], draw(rows(elements[1], size)))
    with np.errstate(all="ignore"):
        kept = read(elements[0], a)
        real = kept.real if kept.dtype.kind == "c" and not elements[1].startswith("complex") else kept
        safe = np.nan_to_num(real, nan=0, posinf=9, neginf=9).clip(-9, 9) if elements[1] == "int64" else real
        converted = stored(elements[1], list(safe.astype("f4" if elements[1] == "bfloat16" else elements[1])))
    step, equal = itemsize(elements[1]), draw(st.lists(st.booleans(), min_size=size, max_size=size))
    taken = [(converted if same else b)[i * step : (i + 1) * step] for i, same in enumerate(equal)]
    return a, b"".join(taken)


@pytest.mark.parametrize("reference", ELEMENTS)
@given(
    other=st.sampled_from(ELEMENTS), tolerance=st.sampled_from([EXACT, _CLOSE]),
    data=st.data(), cuts=st.lists(st.integers(0, 30), max_size=4),
)  # fmt: skip
def test_equals_whole_arrays_of_float64(
    reference: str, other: str, tolerance: Tolerance, data: st.DataObject, cuts: list[int]
) -> None:
    a, b = data.draw(pairs((reference, other)))
    shape = (len(a) // itemsize(reference), 1)
    with np.errstate(all="ignore"):
        expected = plain(read(reference, a), read(other, b), shape, tolerance)
    pieces = cut(b, itemsize(other), cuts)
    found = measure_cross_dtype_difference((reference, other), shape, memoryview(a), pieces, tolerance)
    for name, value in expected.items():
        rough = isinstance(value, float) and value < 1e300
        assert getattr(found, name) == (pytest.approx(value, rel=1e-12) if rough else value), name


@pytest.mark.parametrize("pieces", [1, 3])
def test_equals_numpy_over_many_blocks(pieces: int) -> None:
    a = np.random.default_rng(pieces).standard_normal((3, _BLOCK + 5))
    b = a.astype("f4")
    size = b.size // pieces
    streamed = cut(b.tobytes(), 4, [size, 2 * size])
    found = measure_cross_dtype_difference(
        ("float64", "float32"), a.shape, memoryview(a.tobytes()), streamed, Tolerance(5e-8, 0)
    )
    gap = np.abs(b.astype("f8") - a)
    assert found.differing == np.count_nonzero(gap)
    assert found.total == a.size
    assert found.outside_tolerance == np.count_nonzero(gap > 5e-8 * np.abs(a))
    assert found.max_abs == gap.max()
    assert found.max_rel == (gap / np.abs(a)).max()
    assert found.first_index == tuple(int(i[0]) for i in np.nonzero(gap))


def test_what_both_dtypes_hold_is_no_difference() -> None:
    halves = np.arange(-100, 100) / 2
    for element in ("float16", "bfloat16", "float32", "complex64"):
        found = measure_cross_dtype_difference(
            ("float64", element), (200,), memoryview(halves.tobytes()),
            [memoryview(stored(element, list(halves)))], EXACT,
        )  # fmt: skip
        assert found == Difference(0, 200, 0)


def test_the_tolerance_of_the_coarser_dtype_holds_its_rounding() -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    for element in ("float16", "bfloat16", "float32"):
        found = measure_cross_dtype_difference(
            ("float64", element), (1000,), memoryview(values.tobytes()),
            [memoryview(stored(element, list(values)))], default_tolerance("float64", element),
        )  # fmt: skip
        assert (found.outside_tolerance, found.differing > 900) == (0, True), element


def test_both_values_are_told_as_they_are_widened() -> None:
    third = memoryview(np.float64(1 / 3).tobytes())
    found = measure_cross_dtype_difference(
        ("float64", "float32"), (), third, [memoryview(stored("float32", [1 / 3]))], EXACT
    )
    assert found.first_values == ("0.3333333333333333", "0.3333333432674408")
    assert (found.first_index, found.max_ulp, found.differing) == ((), None, 1)


def test_nothing_is_compared_where_there_is_nothing() -> None:
    found = measure_cross_dtype_difference(
        ("float32", "float64"), (0, 3), memoryview(b""), [memoryview(b"")], EXACT
    )
    assert found == Difference(0, 0, 0)
