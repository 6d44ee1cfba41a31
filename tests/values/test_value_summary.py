from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.compare.stored_value import MAX_VALUES, Statistics, StoredValue
from pytest_repro.core.runs.observation import Leaf, Observation
from pytest_repro.values.spill_store import SpillStore
from pytest_repro.values.value_summary import compute_statistics, summarize_value


def told(value: object) -> StoredValue:
    """The account of *value*, whether it is kept in the observation or on the shelf."""
    leaf = flatten(value)
    assert isinstance(leaf, Leaf)
    shelf = SpillStore(2**20)
    inline = Observation(
        ("x", 0, ""), leaf.kind, leaf.dtype, leaf.shape, b"".join(map(bytes, leaf.read_chunks()))
    )
    shelved = Observation(("x", 0, ""), leaf.kind, leaf.dtype, leaf.shape, stored := shelf.put(leaf))
    assert isinstance(inline.content, bytes)
    found = summarize_value("x", inline, memoryview(inline.content))
    assert found == summarize_value("x", shelved, shelf.get(stored))
    assert found.digest == digest(value)
    return found


@pytest.mark.parametrize(
    ("value", "values"),
    [
        (1.5, (1.5,)), (-3, (-3,)), (-(2**70), (-(2**70),)), (True, (1,)), (1 + 2j, (1 + 2j,)),
        (np.float32(0.1), (0.10000000149011612,)),
        (np.array([[1, 2], [3, 4]], "u1"), (1, 2, 3, 4)), (np.array([1, 2j], "c8"), (1 + 0j, 2j)),
        (np.zeros(0), ()), (np.array([1.5], "g"), (1.5,)), (np.array([2**64 - 1], "u8"), (2**64 - 1,)),
    ],
)  # fmt: skip
def test_few_numbers_are_told_as_they_are(value: object, values: tuple[object, ...]) -> None:
    found = told(value)
    assert found.values == values
    assert [type(each) for each in found.values or ()] == [type(each) for each in values]


def test_dtypes_that_numpy_has_not_are_told_as_well() -> None:
    torch = pytest.importorskip("torch")
    assert told(torch.tensor([1.5, -2.0], dtype=torch.bfloat16)).values == (1.5, -2.0)
    assert told(torch.tensor([0.5]).to(torch.float8_e4m3fn)).values == (0.5,)


def test_text_is_told_shortened() -> None:
    assert told("é\n").text == "é\n"
    assert told(b"a\xff").text == r"b'a\xff'"
    assert told(10**99).text == f"1{'0' * 29}…{'0' * 29}"
    assert told(2**99_999).text == f"0x8{'0' * 27}…{'0' * 29}"
    long = told("é" * 500).text
    assert long == "é" * 119 + "…"


def test_what_was_not_kept_is_told_by_its_digest() -> None:
    leaf = flatten(np.arange(100.0))
    assert isinstance(leaf, Leaf)
    stored = SpillStore(2**20).put(leaf)
    found = summarize_value("x", Observation(("x", 0, ""), leaf.kind, leaf.dtype, leaf.shape, stored), None)
    assert found == StoredValue("x", "float64[100]", digest(np.arange(100.0)))


def test_of_more_numbers_the_statistics_are_told() -> None:
    values = np.arange(MAX_VALUES + 1.0)
    found = told(values)
    assert found.values is None
    assert found.statistics == compute_statistics("float64", memoryview(values.tobytes()), values.nbytes)
    assert told(values[1:]).statistics is None


def measured(array: NDArray[np.generic]) -> Statistics:
    found = compute_statistics(array.dtype.name, memoryview(array.tobytes()), array.nbytes)
    assert found is not None
    return found


dtypes = st.sampled_from(["f8", "f4", "i8", "u1", "?"])
small = arrays(dtypes, array_shapes(max_side=20))
large = arrays("f4", 70_000, elements=st.floats(-1e6, 1e6, width=32), fill=st.just(np.float32(3)))


@given(small | large)
@example(np.full(3, 1e300))
@example(np.full(3, 1e-300))
@example(np.array([sys.float_info.max, -sys.float_info.max]))
def test_they_are_numpys_of_what_is_finite(array: NDArray[np.generic]) -> None:
    found, wide = measured(array), array.astype("f8").ravel()
    finite = wide[np.isfinite(wide)]
    assert found.non_finite == wide.size - finite.size
    assert found.elements[-1] == (array.size - 1, str(array.ravel()[-1]))
    if not finite.size:
        assert found[:5] == (None,) * 5
        return
    assert (found.min, found.max) == (finite.min(), finite.max())
    # With the largest about 1, numpy's own squares stay within float64.
    largest = float(np.abs(finite).max())
    scale = 2.0 ** min(max(math.frexp(largest)[1], -1000), 1000)
    finite = finite / scale
    expected = [scale * float(each) for each in (finite.mean(), finite.std(), np.linalg.norm(finite))]
    assert found[2:5] == pytest.approx(tuple(expected), rel=1e-9, abs=1e-12 * largest)


def test_far_from_zero_no_digit_is_lost() -> None:
    array = 1e9 + np.random.default_rng(0).random(100_000)
    assert measured(array).std == pytest.approx(array.std(), rel=1e-6)


def test_blocks_at_both_ends_of_the_floats_are_joined() -> None:
    most = sys.float_info.max
    found = measured(np.repeat([most, -most, most, -most], 2**13))
    assert (found.min, found.max, found.mean) == (-most, most, 0.0)
    assert found.std == pytest.approx(most)
    assert found.l2 == math.inf


def test_of_many_blocks_what_is_not_finite_is_counted_and_passed_over() -> None:
    array = np.random.default_rng(0).normal(1000, 1, 200_000).astype("f4")
    array[::1000] = np.nan
    array[1] = np.inf
    array[2**13 : 2**16] = -np.inf
    found, finite = measured(array), array[np.isfinite(array)].astype("f8")
    assert found.non_finite == array.size - finite.size > 2**13
    expected = finite.min(), finite.max(), finite.mean(), finite.std(), np.linalg.norm(finite)
    assert found[:5] == pytest.approx(expected, rel=1e-12)
    assert found.elements[0] == (0, "nan")


def test_of_complex_numbers_the_magnitudes_count() -> None:
    assert measured(np.full(99, 3 + 4j, "c8"))[:5] == pytest.approx(
        (5, 5, 5, 0, 5 * math.sqrt(99)), abs=1e-12
    )
    assert measured(np.full(2, 3e38 + 3e38j, "c8")).max == pytest.approx(
        3e38 * math.sqrt(2)
    )  # beyond float32
    assert measured(np.array([1j, complex(0, math.nan)])).non_finite == 1


def test_text_and_nothing_have_none() -> None:
    assert compute_statistics("", memoryview(b"abc"), 3) is None
    assert compute_statistics("float32", memoryview(b""), 0) is None
    assert compute_statistics("raw12", memoryview(b"x" * 12), 12) is None
