"""Frames of polars, its global generator, and its typical trap: rows in any order."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import digest, flatten, seed_all
from pytest_repro.core.runs.pytree import iter_leaves
from pytest_repro.engine.runs.pin import pinned
from tests.conftest import Project

pl: Any = pytest.importorskip("polars")

FRAME = pl.DataFrame(
    {
        "number": [0.5, None, float("nan"), -0.0],
        "text": ["a", None, "", "é"],
        "flag": [True, None, False, True],
        "day": [datetime.date(2024, 1, 1), None, datetime.date(1960, 1, 1), datetime.date(2025, 1, 1)],
        "time": pl.Series([0, None, 5, -1], dtype=pl.Datetime("us", "UTC")),
        "money": [Decimal("1.50"), None, Decimal(2), Decimal(-1)],
        "category": pl.Series(["a", "b", None, "a"], dtype=pl.Categorical),
        "enum": pl.Series(["a", "b", None, "a"], dtype=pl.Enum(["b", "a"])),
        "list": [[1], None, [], [2, None]],
        "array": pl.Series([[1, 2], None, [3, 4], [5, None]], dtype=pl.Array(pl.Int8, 2)),
        "struct": [{"x": 1, "y": "q"}, None, {"x": None, "y": None}, {"x": 2, "y": "r"}],
        "bytes": [b"a", None, b"", b"b"],
        "nothing": [None] * 4,
        "large": pl.Series([2**100, None, -1, 0], dtype=pl.Int128),
    }
)


@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from(FRAME.columns))
def test_layouts_are_no_values(start: int, stop: int, name: str) -> None:
    part = FRAME.select(name)[start:stop]
    again = pl.DataFrame({name: part[name].to_list()}, schema=part.schema)
    assert digest(part) == digest(again) == digest(part.clone())
    chunked = pl.concat([part[:1], part[1:]], rechunk=False)
    assert digest(chunked) == digest(part)
    for other in {0, 1, 2, 3} - {start}:  # no two values of a column are equal, but for nothing and flags
        one, two = FRAME[start : start + 1, name], FRAME[other : other + 1, name]
        equal = repr(one.to_list()) == repr(two.to_list())
        assert (digest(FRAME[[start], name]) == digest(FRAME[[other], name])) == equal if start < 4 else True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pl.Series([1.0, None]), pl.Series([1.0, float("nan")])),
        (pl.Series(["", "a"]), pl.Series([None, "a"])),
        (pl.Series([[], None]), pl.Series([None, []])),
        (pl.Series([[1], [2, 3]]), pl.Series([[1, 2], [3]])),
        (pl.Series("a", [1]), pl.Series("b", [1])),
        (pl.Series([1], dtype=pl.Int8), pl.Series([1], dtype=pl.Int16)),
        (pl.Series(["a"], dtype=pl.Enum(["a", "b"])), pl.Series(["a"], dtype=pl.Enum(["b", "a"]))),
        (pl.DataFrame({"a": [1], "b": [2]}), pl.DataFrame({"b": [2], "a": [1]})),
        (pl.Series([1, "x"], dtype=pl.Object), pl.Series([1, "y"], dtype=pl.Object)),
    ],
)
def test_other_values(one: object, other: object) -> None:
    assert digest(one) != digest(other)


def test_paths_and_refusals() -> None:
    paths = [path for path, _, _ in iter_leaves(FRAME.select("number", "text", "list"), "", flatten)]
    assert paths == [
        ".columns", "['number']", "['number'].is_null()", "['text']", "['list'].is_null()",
        "['list'].list.len()", "['list'].list.len().is_null()", "['list'].explode()",
        "['list'].explode().is_null()",
    ]  # fmt: skip
    with pytest.raises(
        TypeError, match=r"^value is a polars\.LazyFrame, which has no values yet: call \.coll"
    ):
        digest(FRAME.lazy())
    with pytest.raises(TypeError, match=r"GroupBy: record its result, a DataFrame or a Series$"):
        digest(FRAME.group_by("text"))


@pytest.mark.parametrize("texts", [["a", None, "é" * 9] * 5, [None] * 9, ["a"] * 9, []])
def test_pyarrow_reads_the_same_texts(texts: list[str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    series = pl.Series(texts, dtype=pl.String)
    part = pl.concat([series, series[1:]], rechunk=False)[1:]
    found = digest(part)
    monkeypatch.setattr("pytest_repro.adapters.tables.polars._FEW", 0)
    assert digest(part) == found


def draw() -> list[int]:
    return list(pl.Series(range(50)).shuffle())


def test_its_generator_is_seeded_and_your_seed_still_counts_after_it() -> None:
    seed_all(3)  # another test may do that
    after = []
    for own_seed, seed in ((7, 0), (7, 1), (8, 0)):
        pl.set_random_seed(own_seed)
        with pinned(seed):
            first = draw()
        with pinned(seed):
            assert draw() == first
        after.append(draw())
    assert after[0] == after[1] != after[2]


GROUPED = """
import polars as pl
import pytest

@pytest.mark.reproducible(runs=3)
def test_group():
    frame = pl.DataFrame({"user": [i * 7919 % 1000 for i in range(300_000)], "score": range(300_000)})
    means = frame.group_by("user").agg(pl.col("score").mean())

@pytest.mark.reproducible
def test_ordered():
    frame = pl.DataFrame({"user": [i * 7919 % 1000 for i in range(300_000)], "score": range(300_000)})
    means = frame.group_by("user", maintain_order=True).agg(pl.col("score").mean())

@pytest.mark.reproducible(process=True)
def test_sampled():
    frame = pl.DataFrame({"user": range(1000)}).sample(50)
    import colorsys  # what a run imports first moves no state
    more = pl.DataFrame({"user": range(1000)}).sample(50)
"""


def test_row_order(project: Project) -> None:
    if pl.thread_pool_size() < 2:
        pytest.skip("one thread returns groups in one order")
    project.inquires = True
    result = project(GROUPED).check(
        failed=1,
        passed=2,
        says=[
            "locals.means   DataFrame[1000 rows, 2 columns]   ",
            "    the same rows in another order: ",
            "  cause      row-order at test_it.py:7\n",
            "polars.DataFrame.group_by() returns its rows in any order",
            "  fix        pass maintain_order=True, or sort the rows by a key",
        ],
    )
    cause = result.report["tests"][0]["cause"]
    assert (cause["name"], cause["location"]) == ("row-order", "test_it.py:7")


def test_a_registered_namespace_is_no_value() -> None:
    class Sizes:
        def __init__(self, series: object) -> None:
            self.series = series

    pl.api.register_series_namespace("sizes")(Sizes)
    try:
        series = pl.Series([1, 2])
        assert series.sizes.series is series
        assert digest(series) == digest(pl.Series([1, 2]))
    finally:
        del pl.Series.sizes
        pl.Series._accessors.discard("sizes")
