"""Arrow arrays: only logical values count, whatever the chunks, slices, views and bytes under nulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.runs.pytree import iter_leaves

pa: Any = pytest.importorskip("pyarrow")

STRUCT = pa.struct([("x", pa.int32()), ("y", pa.string())])
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats(allow_nan=False) | st.just(float("nan")),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=3),
    pa.large_string(): st.text(max_size=3),
    pa.string_view(): st.text(max_size=20),
    pa.binary(): st.binary(max_size=3),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.decimal128(5, 2): st.decimals(-999, 999, places=2),
    pa.timestamp("us", "UTC"): st.integers(0, 2**50),
    pa.dictionary(pa.int8(), pa.string()): st.sampled_from(["a", "b", ""]),
    pa.list_(pa.int16()): st.lists(st.none() | st.integers(-9, 9), max_size=3),
    pa.large_list(pa.string()): st.lists(st.none() | st.text(max_size=2), max_size=2),
    pa.list_(pa.int8(), 2): st.lists(st.integers(-9, 9), min_size=2, max_size=2),
    pa.map_(pa.string(), pa.int8()): st.lists(st.tuples(st.text(max_size=2), st.integers(-9, 9)), max_size=2),
    STRUCT: st.fixed_dictionaries({"x": st.none() | st.integers(0, 9), "y": st.sampled_from(["", None])}),
    pa.list_(STRUCT): st.lists(
        st.none() | st.fixed_dictionaries({"x": st.integers(-9, 9), "y": st.none()}), max_size=2
    ),
}  # fmt: skip
ARRAYS = st.sampled_from(list(VALUES)).flatmap(
    lambda kind: st.lists(st.none() | VALUES[kind], max_size=8).map(lambda values: pa.array(values, kind))
)


def to_key(array: Any) -> object:
    """Equal for equal logical values, by what Python prints: NaN is NaN, and -0.0 is not 0.0."""
    return repr(
        array.to_pylist() if not pa.types.is_timestamp(array.type) else array.cast("int64").to_pylist()
    )


@given(ARRAYS, st.data())
def test_layouts_are_no_values(array: Any, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(array)))
    chunked = pa.chunked_array([array[:cut], array[cut:], array[:0]], array.type)
    wide = pa.concat_arrays([array, array])[len(array) :]
    assert digest(array) == digest(chunked) == digest(wide) == digest(pa.chunked_array([array]))
    part = array[cut:]
    assert digest(part) == digest(pa.array(part.to_pylist(), part.type))


@given(ARRAYS, st.data())
def test_digests_are_equal_for_equal_values_only(array: Any, data: st.DataObject) -> None:
    other = pa.array(data.draw(st.lists(st.none() | VALUES[array.type], max_size=8)), array.type)
    backwards = pa.concat_arrays([array[:0], *(array[i : i + 1] for i in reversed(range(len(array))))])
    for one in (other, backwards):
        assert (digest(array) == digest(one)) == (to_key(array) == to_key(one))


def test_bytes_under_nulls_are_no_values() -> None:
    mask = pa.py_buffer(np.packbits([1, 0, 1], bitorder="little").tobytes())
    for content in ([1, 7, 3], [1, 9, 3]):
        numbers = pa.Array.from_buffers(
            pa.int64(), 3, [mask, pa.py_buffer(np.array(content, "i8").tobytes())]
        )
        assert digest(numbers) == digest(pa.array([1, None, 3]))
    offsets = pa.py_buffer(np.array([0, 1, 5, 6], "i4").tobytes())
    for data in (b"ahidec", b"aotherc"[:5] + b"c"):
        texts = pa.Array.from_buffers(pa.string(), 3, [mask, offsets, pa.py_buffer(data)])
        assert digest(texts) == digest(pa.array(["a", None, "c"]))
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["b", "a", "unused"]))
    assert digest(codes) == digest(pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array(["a", "b"])))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1.0, None]), pa.array([1.0, float("nan")])),
        (pa.array(["", "a"]), pa.array([None, "a"])),
        (pa.array([0.0]), pa.array([-0.0])),
        (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
        (pa.array([[1], [2, 3]]), pa.array([[1, 2], [3]])),
        (pa.array([[], None], pa.list_(pa.int8())), pa.array([None, []], pa.list_(pa.int8()))),
        (pa.array([None, {"x": None}]), pa.array([{"x": None}, None])),
        (pa.array(["a"]), pa.array(["a"], pa.large_string())),
        (pa.array([None, None]), pa.array([None])),
        (pa.scalar(1), pa.array([1])),
        (pa.table({"a": [1], "b": [1]}), pa.table({"b": [1], "a": [1]})),
        (pa.table({"a": [1]}), pa.table({"a": [1]}, pa.schema([pa.field("a", pa.int64(), False)]))),
    ],
)
def test_other_values(one: object, other: object) -> None:
    assert digest(one) != digest(other)


def test_paths_and_refusals() -> None:
    table = pa.table({"a": [1], "b": ["x"], "c": [[1]]})
    assert [path for path, _, _ in iter_leaves(table, "", flatten)] == [
        ".column_names", "['a']", "['a'].is_null()", "['b']", "['c'].is_null()", "['c'].value_lengths()",
        "['c'].flatten()", "['c'].flatten().is_null()",
    ]  # fmt: skip
    plain = table.replace_schema_metadata({"made": "by me"})
    assert digest(plain) == digest(table)
    batch = table.to_batches()[0]
    with pytest.raises(TypeError, match=r"is a pyarrow\.RecordBatchReader: record a Table"):
        digest(pa.RecordBatchReader.from_batches(batch.schema, [batch]))
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
    with pytest.raises(TypeError, match=r"is of the Arrow type dense_union.*record each of its fields"):
        digest(union)
