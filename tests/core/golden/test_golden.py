"""Entries are merged: nothing is lost, nothing moves that need not."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.golden.golden import (
    EntryUpdate,
    Golden,
    diff_environments,
    find_nearest,
    find_stale,
    has_same_values,
    merge_updates,
    remove_tests,
)
from pytest_repro.core.golden.golden_file import format_golden
from pytest_repro.core.golden.stored_value import StoredValue

LAPTOP = {"python": "3.11", "numpy": "2.4"}
RUNNER = {"python": "3.12", "numpy": "2.4"}
WITH_TORCH = {**LAPTOP, "torch": "2.13"}
FIELDS = {"a" * 16: LAPTOP, "b" * 16: RUNNER, "c" * 16: WITH_TORCH}

rows = st.builds(
    StoredValue,
    name=st.sampled_from("xyz"),
    step=st.integers(0, 3),
    path=st.sampled_from(["", ".w"]),
    kind=st.just("float32[2]"),
    digest=st.text("0123456789abcdef", min_size=32, max_size=32),
)
entries = st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row.key).map(tuple)
keys = st.sampled_from(sorted(FIELDS))
updates = st.builds(
    lambda nodeid, key, entry: EntryUpdate(nodeid, key, FIELDS[key], entry),
    st.sampled_from([f"test_a.py::test_b[{n}]" for n in range(6)]),
    keys,
    entries,
)


def update(nodeid: str, key: str, digest: str = "0" * 32) -> EntryUpdate:
    return EntryUpdate(nodeid, key, FIELDS[key], (StoredValue("x", "float", digest),))


@given(
    st.lists(updates, max_size=8),
    st.lists(updates, max_size=6, unique_by=lambda each: each.nodeid),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_workers_report_does_not_matter(
    before: list[EntryUpdate], new: list[EntryUpdate], shuffled: random.Random
) -> None:
    golden = merge_updates(Golden(), before)
    other = list(new)
    shuffled.shuffle(other)
    assert format_golden(merge_updates(golden, new)) == format_golden(merge_updates(golden, other))
    one_by_one = golden
    for each in other:
        one_by_one = merge_updates(one_by_one, [each])
    assert format_golden(one_by_one) == format_golden(merge_updates(golden, new))


@given(st.lists(updates, max_size=8))
def test_the_same_again_leaves_every_byte(new: list[EntryUpdate]) -> None:
    once = merge_updates(Golden(), new)
    last = {each.nodeid: each for each in new}
    assert format_golden(merge_updates(once, last.values())) == format_golden(once)


@given(st.lists(updates, max_size=8), updates)
def test_what_an_update_does_not_name_stays(before: list[EntryUpdate], new: EntryUpdate) -> None:
    golden = merge_updates(Golden(), before)
    after = merge_updates(golden, [new])
    others = golden.tests.keys() - {new.nodeid}
    assert {n: golden.tests[n] for n in others} == {n: after.tests[n] for n in others}
    assert any(has_same_values(entry, new.entry) for entry in after.tests[new.nodeid].values())


def test_each_environment_keeps_its_own() -> None:
    golden = merge_updates(Golden(), [update("t", "a" * 16), update("t", "b" * 16, "1" * 32)])
    assert list(golden.tests["t"]) == ["a" * 16, "b" * 16]
    assert golden.environments == {"a" * 16: LAPTOP, "b" * 16: RUNNER}


def test_a_library_that_another_test_imported_makes_no_other_environment() -> None:
    golden = merge_updates(Golden(), [update("t", "a" * 16)])
    assert diff_environments(WITH_TORCH, LAPTOP) == {}
    assert find_nearest(golden, "t", "c" * 16, WITH_TORCH) == "a" * 16
    assert merge_updates(golden, [update("t", "c" * 16)]) == golden
    assert list(merge_updates(golden, [update("t", "c" * 16, "1" * 32)]).tests["t"]) == ["c" * 16]


def test_the_nearest_environment_is_compared_with() -> None:
    golden = merge_updates(Golden(), [update("t", "b" * 16), update("t", "c" * 16)])
    assert find_nearest(golden, "t", "f" * 16, {**WITH_TORCH, "numpy": "2.5"}) == "c" * 16
    assert find_nearest(golden, "t", "b" * 16, RUNNER) == "b" * 16
    assert find_nearest(golden, "other", "b" * 16, RUNNER) is None


def test_tests_that_are_gone_are_those_of_the_file_alone() -> None:
    golden = merge_updates(Golden(), [update(n, "a" * 16) for n in ("t.py::a", "t.py::b[::]", "t.txt::a")])
    assert list(find_stale(golden, "t.py", {"t.py::a"})) == ["t.py::b[::]"]
    left = remove_tests(golden, ["t.py::a", "t.py::b[::]", "t.txt::a"])
    assert left == Golden()
