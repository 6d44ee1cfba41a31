from __future__ import annotations

import numpy as np
import pytest

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.compare.stored_value import MAX_VALUES, StoredValue
from pytest_repro.core.runs.observation import Leaf, Observation
from pytest_repro.values.spill_store import SpillStore
from pytest_repro.values.statistics import compute_statistics
from pytest_repro.values.value_summary import summarize_value


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
        (1.5, (1.5,)), (-3, (-3,)), (True, (1,)), (1 + 2j, (1 + 2j,)),
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
    assert told(2**70).text == f"{2**70:x}"
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
