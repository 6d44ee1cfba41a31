"""Every record becomes plain data and the same record again, and nothing else is made of foreign data."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pytest_repro.core
from pytest_repro.core.checked_json import BadJson, JsonNode, parse_json
from pytest_repro.core.codec import Codec, Field
from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.runs.run import Run

SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=()), max_size=5),
    bytes: st.binary(max_size=9),
    bool: st.booleans(),
    int: st.integers(-(2**64), 2**64),
    float: st.floats(allow_nan=False),
    complex: st.complex_numbers(allow_nan=False),
    object: st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    NoneType: st.none(),
}
NOT_PLAIN = {
    "Completion", "Evidence", "ExperimentResult", "Field", "Leaf", "LocalsBudget", "Observation",
    "ObservedRun", "Parts", "RankRun", "RunSummary", "StateRoot", "StatisticDifference", "TokenContext",
    "Verdict", "_Layout",
}  # fmt: skip
"""Records that hold functions, arrays, exceptions or traces, and such that are never written."""


@cache
def values(expected: Any) -> st.SearchStrategy[Any]:
    """Values of a type of a field, or of a record."""
    origin, args = get_origin(expected), get_args(expected)
    if expected in SCALARS:
        return SCALARS[expected]
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, UnionType):
        return st.one_of([values(arg) for arg in args])
    if origin in (dict, Mapping):
        return st.dictionaries(values(args[0]), values(args[1]), max_size=2)
    if origin is tuple and ... in args:
        return st.lists(values(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, args))
    return st.deferred(lambda: _records(expected))  # a divergence has others


def _records(expected: Any) -> st.SearchStrategy[Any]:
    fields = {name: values(hint) for name, hint in get_type_hints(expected).items()}
    return st.fixed_dictionaries(fields).map(lambda found: expected(**found))


def find_records() -> list[type]:
    modules = pkgutil.walk_packages(pytest_repro.core.__path__, "pytest_repro.core.")
    found = {
        record
        for module in modules
        for record in vars(importlib.import_module(module.name)).values()
        if isinstance(record, type) and (is_dataclass(record) or hasattr(record, "_fields"))
    }
    plain = {
        r for r in found if r.__name__ not in NOT_PLAIN and r.__module__.startswith("pytest_repro.core.")
    }
    return sorted(plain, key=lambda record: record.__name__)


def arrive(codec: Codec, record: Any) -> Any:
    return codec.decode(type(record), parse_json(json.dumps(codec.encode(record), allow_nan=False)))


@pytest.mark.parametrize("record", find_records(), ids=lambda record: record.__name__)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_record_arrives_as_it_was(record: type, data: st.DataObject) -> None:
    sent = data.draw(values(record))
    arrived = arrive(Codec(), sent)
    assert arrived == sent
    assert repr(arrived) == repr(sent)  # 1 is no True, and no 1.0


def test_numbers_that_json_does_not_know_are_text() -> None:
    value = StoredValue("x", "float64[2]", "0" * 32, (float("nan"), float("-inf"), complex("inf")))
    plain = Codec().encode(value)
    assert plain["values"] == ["NaN", "-Infinity", ["Infinity", 0.0]]
    assert str(arrive(Codec(), value)) == str(value)
    older = {"name": "x", "kind": "", "digest": "", "values": ["nan", "inf", "-inf"]}
    assert str(Codec().decode(StoredValue, JsonNode(older)).values) == "(nan, inf, -inf)"


@pytest.mark.parametrize("seconds", [0.0, -0.0, 0])
def test_only_the_default_itself_is_left_out(seconds: float) -> None:
    run = Run("", None, "passed", seconds)
    assert repr(arrive(Codec(), run).seconds) == repr(float(seconds))


class Inner(NamedTuple):
    a: int = 0
    b: int = 0


@dataclass(frozen=True)
class Outer:
    name: str
    title: str = ""
    inner: Inner | None = None
    hidden: int = 7
    count: int = 0


LAYOUT = (
    "name",
    Field("title", "heading", same_as="name"),
    Field("inner", inline=True),
    Field("count", always=True),
)


@pytest.mark.parametrize(
    ("record", "plain"),
    [
        (Outer("x"), {"name": "x", "heading": "", "count": 0}),
        (Outer("x", "x"), {"name": "x", "count": 0}),
        (Outer("x", "x", Inner(b=2), 7, 3), {"name": "x", "b": 2, "count": 3}),
    ],
)
def test_a_layout_says_what_the_file_is_like(record: Outer, plain: dict[str, object]) -> None:
    codec = Codec({Outer: LAYOUT})
    assert codec.encode(record) == plain
    assert list(codec.encode(record)) == list(plain)
    assert arrive(codec, record) == record


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ([], "at is a list of 0, not an object"),
        ({"axis": "a", "value": [], "outcome": "passed"}, "at.value is a list of 0, not a single value"),
        ({"axis": "a", "value": 0}, "at has no 'outcome'"),
        (
            {"axis": "a", "value": 0, "outcome": "won"},
            'at.outcome is "won", not one of passed, failed, skipped',
        ),
        ({"axis": "a", "value": 0, "outcome": "passed", "x": 0}, "at has the unknown key 'x'"),
        (
            {"axis": "a", "value": 0, "outcome": "passed", "repeat_of": ["b"]},
            "at.repeat_of is a list of 1, not of 2",
        ),
        (
            {"axis": "a", "value": 0, "outcome": "passed", "warnings": [{"line": "1"}]},
            "at.warnings[0] has no 'category'",
        ),
        (
            {"axis": "a", "value": 0, "outcome": "passed", "environment_diff": {"numpy": ["1", 2]}},
            "at.environment_diff['numpy'][1] is 2, not text",
        ),
    ],
)
def test_what_does_not_fit_is_named(plain: object, says: str) -> None:
    with pytest.raises(BadJson) as caught:
        Codec().decode(Run, JsonNode(plain, "at"))
    assert str(caught.value) == says


def test_unknown_keys_are_ignored_where_a_newer_version_may_add_some() -> None:
    plain = {"axis": "a", "value": 0, "outcome": "passed", "x": 0}
    assert Codec(strict=False).decode(Run, JsonNode(plain)) == Run("a", 0, "passed")
