"""Entries are merged: nothing is lost, nothing moves that need not. What is damaged is named."""

from __future__ import annotations

import json
import pickle
import random
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from pytest_repro.core.golden import (
    EntryUpdate,
    Golden,
    diff_environments,
    find_stale,
    format_golden,
    has_same_values,
    merge_updates,
    rank_entries,
    read_golden,
    remove_tests,
)

LAPTOP = {"python": "3.11", "numpy": "2.4"}
RUNNER = {"python": "3.12", "numpy": "2.4"}
WITH_TORCH = {**LAPTOP, "torch": "2.13"}
FIELDS = {"a" * 16: LAPTOP, "b" * 16: RUNNER, "c" * 16: WITH_TORCH}

X, OTHER_X = (StoredValue("x", "float32[2]", digit * 32) for digit in "01")
ENTRIES = (
    (X,), (OTHER_X,), (X, X._replace(step=1)), (X, X._replace(name="y")), (X, X._replace(path=".w")),
    (OTHER_X, X._replace(name="y"), X._replace(name="y", step=3)),
)  # fmt: skip
NODEIDS = [f"test_a.py::test_b[{n}]" for n in range(6)]
UPDATES = [
    EntryUpdate(nodeid, key, fields, entry)
    for nodeid, (key, fields), entry in product(NODEIDS, FIELDS.items(), ENTRIES)
]
updates = st.sampled_from(UPDATES)  # of few values: many are equal, and building them takes no time


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
    assert rank_entries(golden, "t", "c" * 16, WITH_TORCH)[0] == "a" * 16
    assert merge_updates(golden, [update("t", "c" * 16)]) == golden
    assert list(merge_updates(golden, [update("t", "c" * 16, "1" * 32)]).tests["t"]) == ["c" * 16]


def test_the_nearest_environment_is_compared_first() -> None:
    golden = merge_updates(Golden(), [update("t", "b" * 16), update("t", "c" * 16)])
    other = {**WITH_TORCH, "numpy": "2.5"}
    assert rank_entries(golden, "t", "f" * 16, other) == ["c" * 16, "b" * 16]
    assert rank_entries(golden, "t", "b" * 16, RUNNER) == ["b" * 16, "c" * 16]
    assert rank_entries(golden, "other", "b" * 16, RUNNER) == []


def test_tests_that_are_gone_are_those_of_the_file_alone() -> None:
    golden = merge_updates(Golden(), [update(n, "a" * 16) for n in ("t.py::a", "t.py::b[::]", "t.txt::a")])
    assert list(find_stale(golden, "t.py", {"t.py::a"})) == ["t.py::b[::]"]
    left = remove_tests(golden, ["t.py::a", "t.py::b[::]", "t.txt::a"])
    assert left == Golden()


KEY = "0123456789abcdef"
DIGEST = "0" * 32
digests = st.integers(0, 2**128 - 1).map("{:032x}".format)
numbers = st.floats(allow_nan=False)
shown = st.text(st.characters(exclude_categories=["C", "Z"]))
elements = st.lists(st.tuples(st.integers(0, 2**40), shown), max_size=3).map(tuple)
some = st.tuples(*[numbers] * 5, st.integers(0, 2**40), elements)
none = st.tuples(*[st.none()] * 5, st.integers(1, 2**40), elements)
statistics = (some | none).map(lambda fields: Statistics(*fields))
file_rows = st.builds(
    StoredValue,
    st.text(),
    shown,
    digests,
    values=st.none(),
    text=st.none(),
    statistics=st.none() | statistics,
    step=st.integers(0, 2**63 - 1),
    path=st.text(),
    containers=st.lists(st.tuples(shown, shown), max_size=2).map(tuple),
    sweep=st.lists(st.tuples(st.integers(0, 2**32 - 1), numbers), max_size=3).map(tuple),
)
goldens = st.dictionaries(st.text(), st.lists(file_rows, max_size=3).map(tuple), max_size=4).map(
    lambda tests: merge_updates(
        Golden(), [EntryUpdate(n, KEY, {"python": "3"}, entry) for n, entry in tests.items()]
    )
)


@given(goldens)
def test_what_is_written_is_read_back(golden: Golden) -> None:
    written = format_golden(golden)
    assert read_golden(written) == golden
    assert format_golden(read_golden(written)) == written


def test_an_observation_is_a_line() -> None:
    found = Statistics(0, 1, 0.5, float("inf"), 2.5, elements=((0, "0.0"),))
    row = StoredValue("loss", "float32[2]", DIGEST, statistics=found, step=3, path=".w")
    odd = Statistics(non_finite=2, elements=((0, "nan"), (1, "inf")))
    entry = (row, row._replace(name="y", step=0, path="", statistics=odd, containers=(("", "list"),)))
    golden = merge_updates(Golden(), [EntryUpdate("test_a.py::test_b[ß]", KEY, {"python": "3"}, entry)])
    line = f'"digest": "{DIGEST}", "elements": [[0, "0.0"]], "kind": "float32[2]"'
    numbers = '"l2": 2.5, "max": 1, "mean": 0.5, "min": 0'
    other = '"containers": [["", "list"]], ' + line.replace('[[0, "0.0"]]', '[[0, "nan"], [1, "inf"]]')
    assert format_golden(golden) == (
        "{\n"
        ' "environments": {\n'
        '  "0123456789abcdef": {\n'
        '   "python": "3"\n'
        "  }\n"
        " },\n"
        ' "format": 1,\n'
        ' "kind": "pytest-repro golden",\n'
        ' "tests": {\n'
        '  "test_a.py::test_b[\\u00df]": {\n'
        '   "0123456789abcdef": [\n'
        f'    {{{line}, {numbers}, "name": "loss", "path": ".w", "std": "Infinity", "step": 3}},\n'
        f'    {{{other}, "name": "y", "non_finite": 2}}\n'
        "   ]\n"
        "  }\n"
        " }\n"
        "}\n"
    )


def content(**changes: Any) -> str:
    row: dict[str, Any] = {"name": "x", "kind": "float", "digest": DIGEST, "elements": []}
    row |= {"min": 1, "max": 1, "mean": 1, "std": 0, "l2": 1}
    row |= changes.pop("row", {})
    whole = {
        "kind": "pytest-repro golden",
        "format": 1,
        "environments": {KEY: {"python": "3"}},
        "tests": {"t": {KEY: [row]}},
    }
    return json.dumps({**whole, **changes})


def test_the_sample_is_sound() -> None:
    assert read_golden(content()).tests["t"][KEY][0].key == ("x", 0, "")


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        ("", "is not JSON"),
        (content()[:-20], "is not JSON"),
        ("<<<<<<< HEAD\n" + content(), "is not JSON"),
        ("[" * 100_000, "is nested too deeply"),
        (pickle.dumps([1]).decode("latin-1"), "is not JSON"),
        ("[]", "is not a golden file"),
        ('{"kind": "pytest-repro replay"}', "is not a golden file"),
        (content(format=2), "is of format 2; this version of pytest-repro reads format 1"),
        (content(format=True), "is of format True"),
        (content(format="1"), "is of format 1"),
        (content(tests=[]), "is damaged: tests is a list of 0, not an object"),
        (content(environments=None), "environments is null, not an object"),
        (content(environments={"../../etc": {}}), 'key of an environment is "../../etc", not of the form'),
        (content(environments={KEY: {"python": 3}}), f"environments['{KEY}']['python'] is 3, not text"),
        (content(tests={"t": {"f" * 16: []}}), "tests['t']['ffffffffffffffff'] has no environment"),
        (content(tests={"t": {KEY: {}}}), "is an object of 0, not a list"),
        (content(row={"name": None}), "[0].name is null, not text"),
        (content(row={"step": -1}), "[0].step is -1, out of range: 0 or more is expected"),
        (content(row={"step": 10**50}), "[0].step is 1000"),
        (content(row={"step": True}), "[0].step is true, not a whole number"),
        (content(row={"digest": "../../../etc/passwd"}), '[0].digest is "../../../etc/passwd", not of the'),
        (content(row={"digest": DIGEST + "\n"}), "[0].digest is"),
        (content(row={"l2": "__import__('os')"}), "[0].l2 is \"__import__('os')\", not a number"),
        (content(row={"l2": 10**4000}), "[0].l2 is too large a number"),
        (content(row={"l3": 1}), "[0] has the unknown key 'l3'"),
        (content(row={"non_finite": -1}), "[0].non_finite is -1, out of range"),
        (content(row={"containers": [["", "a\x1b"]]}), "[0].containers is not printable"),
        (content(row={"elements": [[0]]}), "[0].elements[0] is a list of 1, not of 2"),
        (content().replace('"l2": 1', f'"l2": {"9" * 5000}'), "is not JSON"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named(damaged: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_golden(damaged)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 300
