"""Comparison collects every mismatch and judges from all of them."""

from __future__ import annotations

import pytest

from pytest_repro.core.compare.mismatch import (
    Difference,
    ObservedRun,
    compare_kinds,
    count_steps,
    find_mismatches,
    find_outcome_mismatches,
)
from pytest_repro.core.compare.verdict import judge_runs
from pytest_repro.core.runs.observation import ContentRef, Observation
from pytest_repro.core.runs.run import Outcome, Run


def run(number: int = 0, outcome: Outcome = "passed", error_type: str = "", observations: int = 1) -> Run:
    return Run("repeat", number, outcome, observation_count=observations, error_type=error_type)


def observed(number: int, *rows: tuple[str, int, bytes], kind: str = "float32[]") -> ObservedRun:
    found = [Observation((name, step, ""), kind, "float32", (), content) for name, step, content in rows]
    return ObservedRun(run(number), {each.key: each for each in found})


def far(a: Observation, b: Observation) -> Difference:
    return Difference(1, 1, 1, max_abs=1.0)


def test_equal_runs_have_no_mismatch() -> None:
    rows = ("loss", 0, b"1"), ("loss", 1, b"2")
    assert list(find_mismatches(observed(0, *rows), observed(1, *rows), far)) == []


def test_every_kind_of_mismatch_is_named_in_order() -> None:
    left = observed(0, ("loss", 0, b"1"), ("loss", 1, b"2"), ("gone", 0, b"3"))
    right = observed(1, ("loss", 0, b"1"), ("loss", 1, b"x"), ("new", 0, b"4"))
    found = list(find_mismatches(left, right, far))
    assert [(each.name, each.problem) for each in found] == [
        ("loss[1]", "values"),
        ("gone", "missing"),
        ("new", "missing"),
    ]
    assert [each.detail for each in found] == [
        "",
        "not recorded in the other run",
        "recorded in the other run only",
    ]


def test_another_kind_is_no_distance() -> None:
    left, right = observed(0, ("x", 0, b"1")), observed(1, ("x", 0, b"1"), kind="float64[]")
    (found,) = find_mismatches(left, right, far)
    assert (
        found.problem,
        found.kind,
        found.other_kind,
        found.difference,
    ) == ("kind", "float32[]", "float64[]", None)


def _record_pair(container: str, content: bytes = b"1") -> ObservedRun:
    first = Observation(("x", 0, "['a'][0]"), "int", "int64", (), content, containers=(("['a']", container),))
    second = Observation(("x", 0, "['a'][1]"), "int", "int64", (), b"2")
    return ObservedRun(run(), {each.key: each for each in (first, second)})


def test_another_container_is_named_once_and_its_equal_parts_are_not() -> None:
    found = find_mismatches(_record_pair("list"), _record_pair("tuple"), far)
    assert [(m.name, m.problem, m.kind, m.other_kind) for m in found] == [("x['a']", "kind", "list", "tuple")]
    both = find_mismatches(_record_pair("list"), _record_pair("tuple", b"3"), far)
    assert [(m.name, m.problem) for m in both] == [("x['a']", "kind"), ("x['a'][0]", "values")]


SERIES = "Series[2 rows]"


@pytest.mark.parametrize(
    ("left", "right", "kinds"),
    [
        ([SERIES, "float64[2]"], [SERIES, "Int64", "Int64[2]"], ("float64[2]", "Int64[2]")),
        ([SERIES, "Int64", "Int64[2]"], [SERIES, "Int8", "Int8[2]"], ("Int64[2]", "Int8[2]")),
        (["category", "category[2]"], ["ordered", "category[2]"], ("category", "ordered")),
        ([SERIES, "float64[2]"], ["float64[2]"], (SERIES, "float64[2]")),
        ([SERIES, "float64[2]"], ["DataFrame[2 rows]"], (SERIES, "DataFrame[2 rows]")),
        (["tuple"], ["list"], ("tuple", "list")),
        (["interval", "a"], ["interval"], None),
    ],
)
def test_kinds_that_share_a_path(left: list[str], right: list[str], kinds: tuple[str, str] | None) -> None:
    """The values of a column have its path, and those of a masked array that of the array."""
    assert compare_kinds(left, right) == kinds
    assert compare_kinds(right, left) == (kinds and kinds[::-1])


def test_a_difference_within_the_tolerance_is_none() -> None:
    left, right = observed(0, ("x", 0, b"1")), observed(1, ("x", 0, b"2"))
    assert list(find_mismatches(left, right, lambda a, b: Difference(1, 1, outside_tolerance=0))) == []


def test_digests_decide_where_values_were_not_kept() -> None:
    def stored(number: int, digest: str) -> ObservedRun:
        each = Observation(("x", 0, ""), "float32[9]", "float32", (9,), ContentRef(digest))
        return ObservedRun(run(number), {each.key: each})

    assert list(find_mismatches(stored(0, "a"), stored(1, "a"), lambda a, b: None)) == []
    (found,) = find_mismatches(stored(0, "a"), stored(1, "b"), lambda a, b: None)
    assert found.detail == "the values were not kept: only the digests are known"


def test_steps_count_the_series() -> None:
    assert count_steps([("loss", 0, ""), ("loss", 2, ".a"), ("x", 0, "")]) == {"loss": 3, "x": 1}


def test_outcomes_differ_by_what_happened_not_by_its_message() -> None:
    same = [run(0, "failed", "ValueError"), run(1, "failed", "ValueError")]
    assert list(find_outcome_mismatches(same)) == []
    other = [*same, run(2, "failed", "KeyError"), run(3)]
    assert [each.value for each in find_outcome_mismatches(other)] == [2, 3]
    assert judge_runs(other, list(find_outcome_mismatches(other))) == "diverged"
