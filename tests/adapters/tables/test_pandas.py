"""Frames of pandas: equal logical values have equal digests, others have others; where a failure is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.runs.pytree import iter_leaves
from tests.conftest import Project

pd: Any = pytest.importorskip("pandas")


def make_frame(count: int = 4) -> Any:
    return pd.DataFrame(
        {
            "number": np.arange(count) / 7,
            "whole": pd.array([1, None, 3, 4][:count], dtype="Int64"),
            "text": ["a", None, "", "é"][:count],
            "day": pd.date_range("2024-01-01", periods=count, tz="Europe/Berlin"),
            "kind": pd.Categorical(["x", "y", None, "x"][:count], categories=["y", "x"]),
            "span": pd.interval_range(0, count),
            "month": pd.period_range("2024-01", periods=count, freq="M"),
            "mixed": pd.Series([1, "one", None, Decimal("1.0")][:count], dtype=object),
            7: pd.to_timedelta(range(count), unit="s"),
        },
        index=pd.Index(list("pqrs")[:count], name="key"),
    )


def list_paths(value: object) -> list[str]:
    return [path for path, _, _ in iter_leaves(value, "", flatten)]


def test_paths_are_what_users_write() -> None:
    frame = make_frame()[["number", "whole", "kind", 7]]
    assert list_paths(frame) == [
        ".columns", ".columns.name", "['number']", "['whole']", "['whole'].isna()", "['kind']",
        "['kind'].cat.categories", "['kind'].cat.categories.name", "[7]", ".index", ".index.name",
    ]  # fmt: skip
    twice = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    assert [path for path in list_paths(twice) if "columns" not in path and "index" not in path] == [
        ".iloc[:, 0]", "['b']", ".iloc[:, 2]",
    ]  # fmt: skip
    levels = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["one", None])
    assert list_paths(levels) == [".get_level_values(0)", ".get_level_values(1)", ".names[0]", ".names[1]"]


@given(st.integers(0, 4), st.integers(0, 4))
def test_slices_and_joins_have_the_digest_of_their_values(start: int, stop: int) -> None:
    frame = make_frame()
    whole, parts = frame.iloc[start:stop], [frame.iloc[i : i + 1] for i in range(start, stop)]
    again = pd.DataFrame(whole.to_dict("series"), index=whole.index).astype(whole.dtypes.to_dict())
    assert digest(whole) == digest(whole.copy()) == digest(again)
    if parts:
        assert digest(pd.concat(parts)) == digest(whole)


def test_storage_is_no_value() -> None:
    pytest.importorskip("pyarrow")
    texts = ["a", None, "", "é" * 40]
    for missing in (pd.NA, np.nan):
        stored = [pd.array(texts, dtype=pd.StringDtype(each, missing)) for each in ("python", "pyarrow")]
        assert digest(stored[0]) == digest(stored[1])
    assert digest(pd.RangeIndex(2, 12, 3)) == digest(pd.Index([2, 5, 8, 11]))
    numbers = np.arange(12.0).reshape(4, 3)
    assert digest(pd.DataFrame(numbers)) == digest(pd.DataFrame(dict(enumerate(numbers.T.copy()))))
    first, second = (pd.array([1, other, 3], dtype="Int64") for other in (2, 5))
    first[1] = second[1] = pd.NA  # what lies under the mask stays
    assert digest(first) == digest(second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.Series([1.0, None]), pd.array([1.0, None], dtype="Float64")),
        (pd.Series([0.0]), pd.Series([-0.0])),
        (pd.Series(["", "a"]), pd.Series([None, "a"])),
        (pd.Series(["ab", "c"]), pd.Series(["a", "bc"])),
        (pd.Series([None, 1], dtype=object), pd.Series([np.nan, 1], dtype=object)),
        (pd.Series([None, "a"], dtype=object), pd.Series([np.nan, "a"], dtype=object)),
        (pd.Series([1, 2], dtype=object), pd.Series([1, True], dtype=object)),
        (pd.Series([1.5, "a"], dtype=object), pd.Series([2.5, "a"], dtype=object)),
        (pd.Series([1], name="a"), pd.Series([1], name="b")),
        (pd.Series([1], index=["a"]), pd.Series([1], index=["b"])),
        (pd.Series([1], dtype="int64"), pd.Series([1], dtype="int32")),
        (pd.Categorical(["a"], ["a", "b"]), pd.Categorical(["a"], ["b", "a"])),
        (pd.Categorical(["a"], ["a"]), pd.Categorical(["a"], ["a"], ordered=True)),
        (pd.DatetimeIndex(["2024-01-01"], tz="UTC"), pd.DatetimeIndex(["2024-01-01"])),
        (pd.DatetimeIndex(["2024-01-01"], freq="D"), pd.DatetimeIndex(["2024-01-01"])),
        (pd.offsets.BusinessHour(start="09:00"), pd.offsets.BusinessHour(start="10:00")),
        (pd.DateOffset(months=2, normalize=True), pd.DateOffset(months=2)),
        (pd.offsets.CDay(holidays=["2024-01-01"]), pd.offsets.CDay(holidays=["2024-01-02"])),
        (pd.CategoricalDtype(["a", "b"]), pd.CategoricalDtype(["b", "a"])),
        (pd.interval_range(0, 2), pd.interval_range(0, 2, closed="left")),
        (pd.DataFrame({"a": [1], "b": [2]}), pd.DataFrame({"b": [2], "a": [1]})),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame([[2, 1]], columns=["a", "a"])),
        (pd.NA, pd.NaT),
        (pd.Timestamp("2024-01-01 00:00:00.000000001"), pd.Timestamp("2024-01-01 00:00:00.000000002")),
    ],
)
def test_other_values(one: object, other: object) -> None:
    assert digest(one) != digest(other)


def test_attributes_are_compared() -> None:
    class Track(pd.DataFrame):  # type: ignore[misc]
        _metadata = ("unit",)

    metres, feet = Track({"a": [1]}), Track({"a": [1]})
    metres.unit, feet.unit = "m", "ft"
    assert digest(metres) != digest(feet)
    assert digest(metres) != digest(pd.DataFrame({"a": [1]}))
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["source"] = "x"
    assert list_paths(frame)[-1] == ".attrs['source']"


def test_what_cannot_be_recorded_is_refused() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [object(), 2]})
    with pytest.raises(TypeError, match=r"value\['b'\]\[0\] is an object, which cannot be recorded"):
        digest(frame)
    with pytest.raises(TypeError, match=r"DataFrameGroupBy: record its result: a DataFrame, a Series"):
        digest(frame.groupby("a"))
    lists = pd.Series([[1]] * 10_001)
    with pytest.raises(TypeError, match=r"is a column of 10,001 Python objects \(list\), and at most 10,000"):
        digest(lists)


CHANGED = """
import pandas as pd
import pytest

runs = []

@pytest.mark.reproducible
def test_frame():
    runs.append(0)
    frame = pd.DataFrame(
        {
            "price": [2] * 300,
            "user": ["ann"] * 300,
            "sold": pd.array([1] * 300, dtype="Int64"),
            "day": pd.date_range("2024-01-01", periods=300),
        },
        index=[f"k{i}" for i in range(300)],
    )
    if len(runs) > 1:
        frame.loc["k17", "price"] = 1
        frame.loc["k17", "user"] = "bob"
        frame.loc["k5", "sold"] = None
        frame.loc["k200", "day"] = pd.Timestamp("2030-01-01 12:30")
        frame.loc["k250", "price"] = 3
"""


def test_a_frame_is_reported_by_rows_and_columns(project: Project) -> None:
    result = project(CHANGED).check(failed=1)
    result.check(
        says="""\
  locals.frame   DataFrame[300 rows, 4 columns]   run 2 differs from run 1
    locals.frame['price'][17]   int64[300]   2 of 300 elements (0.667 %), max abs 1, max rel 0.5
    locals.frame['user'][17]   str[300]   1 of 300 elements (0.333 %)
    locals.frame['sold'][5]   Int64[300]   1 of 300 elements (0.333 %), max abs 1, max rel 1
    locals.frame['day'][200]   datetime64[us][300]   1 of 300 elements (0.333 %)
    row  index   column   run 1                run 2
    5    'k5'    'sold'   1                    null
    17   'k17'   'price'  2                    1
    17   'k17'   'user'   'ann'                'bob'
    200  'k200'  'day'    2024-07-19T00:00:00  2030-01-01T12:30:00
"""
    )
    table = result.report["tests"][0]["tables"][0]
    assert (table["name"], len(table["cells"])) == ("locals.frame", 4)


SORTED = """
import numpy as np
import pandas as pd
import pytest

@pytest.mark.reproducible(isa=("default", "avx2"))
def test_default_sort():
    frame = pd.DataFrame({"user": np.arange(1000) * 7919 % 50, "score": range(1000)})
    ordered = frame.sort_values("user")

@pytest.mark.reproducible(isa=("default", "avx2"))
def test_stable_sort():
    frame = pd.DataFrame({"user": np.arange(1000) * 7919 % 50, "score": range(1000)})
    ordered = frame.sort_values("user", kind="stable")

@pytest.mark.reproducible(unseeded="fail")
def test_sample():
    some = pd.DataFrame({"score": range(1000)}).sample(5)
"""


def has_wide_vectors() -> bool:
    found: Any = np.show_config(mode="dicts")  # type: ignore[call-overload,unused-ignore]
    simd = found["SIMD Extensions"]
    return any(name.startswith(("X86_V3", "AVX2", "AVX512")) for name in simd.get("found", ()))


@pytest.mark.skipif(not has_wide_vectors(), reason="numpy sorts with vectors on x86 only")
def test_unstable_sorts_and_samples(project: Project) -> None:
    """The default sort of pandas orders equal keys as the vectors of the processor do."""
    project.inquires = True
    result = project(SORTED).check(
        failed=2,
        passed=1,
        says=[
            "  locals.ordered   DataFrame[1000 rows, 2 columns]   differs with isa default",
            "    the same rows in another order: ",
            "  numpy    test_it.py:17   pandas.DataFrame.sample",
        ],
    )
    assert result.verdicts["test_stable_sort"] == "reproduced"
    assert result.report["tests"][0]["cause"]["name"] == "isa"


SHUFFLED = """
import pandas as pd
import pytest

def test_sample():
    frame = pd.DataFrame({"price": range(300), "user": [f"u{i}" for i in range(300)]})
    shuffled = frame.sample(frac=1).reset_index(drop=True)

@pytest.mark.reproducible(capture="recorded")
def test_entropy(repro):
    import numpy as np
    frame = pd.DataFrame({"price": range(300)}, index=[f"k{i}" for i in range(300)])
    order = frame.sample(frac=1, random_state=np.random.default_rng())
    repro.record(order=order)
"""


def test_sampled_rows_are_reported_as_another_order(project: Project) -> None:
    """`sample()` draws from numpy's global generator, which is seeded: only another generator differs."""
    project.inquires = True
    result = project(SHUFFLED, "--repro-all").check(
        passed=1,
        failed=1,
        says=[
            "  order   DataFrame[300 rows, 1 column]   run 2 differs from run 1\n"
            "    the same rows in another order: ",
            "  cause      os-entropy at test_it.py:12",
            "order: the same rows in another order",
        ],
    )
    cause = result.report["tests"][1]["cause"]
    assert (cause["name"], cause["location"]) == ("os-entropy", "test_it.py:12")
