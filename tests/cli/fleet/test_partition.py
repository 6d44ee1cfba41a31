from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.cli.fleet.partition import (
    Explanation,
    Field,
    FieldSplit,
    explain_partition,
    join_partitions,
    list_differing_fields,
    make_partition,
)


def test_the_largest_class_is_first() -> None:
    found = make_partition(["x", "y", None, "y", "z"])
    assert found.classes == ((1, 3), (0,), (4,))
    assert [*found.codes] == [1, 0, -1, 0, 2]
    assert found.sizes == (2, 1, 1)


LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=12)


@given(LABELS, st.permutations(range(5)))
def test_labels_have_no_meaning(labels: list[int], renamed: list[int]) -> None:
    assert make_partition(labels) == make_partition([renamed[label] for label in labels])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12))
def test_a_joint_partition_is_that_of_the_pairs(pairs: list[tuple[int, int]]) -> None:
    parts = [make_partition([pair[n] for pair in pairs]) for n in (0, 1)]
    assert join_partitions(parts) == make_partition(pairs)


@given(LABELS, st.lists(st.sampled_from("ab"), min_size=12, max_size=12))
def test_only_an_equal_partition_is_the_same_split(labels: list[int], values: list[str]) -> None:
    partition, field = make_partition(labels), Field("f", values[: len(labels)])
    fields = [field] if len(set(field.values)) > 1 else []
    found = explain_partition(partition, fields)
    same = len(set(labels)) > 1 and make_partition(field.values) == partition
    assert bool(found.splits) == same
    assert not found.pairs
    assert (found.twins is None) == all(
        labels[a] == labels[b]
        for a in range(len(labels))
        for b in range(len(labels))
        if not fields or field.values[a] == field.values[b]
    )


def test_fields_that_split_alike_are_one_bundle() -> None:
    machines = [{"isa": isa, "blas": isa.upper(), "n": n, "python": "3"} for isa in ("x", "y") for n in "122"]
    fields = list_differing_fields(machines)
    assert [field.name for field in fields] == ["isa", "blas", "n"]
    found = explain_partition(make_partition("aaabbb"), fields)
    assert found == Explanation(
        (FieldSplit(("isa", "blas"), (("x", "y"), ("X", "Y"))),), (), (), None, ("isa", "blas", "n")
    )


def test_two_fields_together() -> None:
    machines = [{"isa": isa, "threads": n, "id": isa + n} for isa in "xy" for n in "12" for _ in range(2)]
    fields = list_differing_fields([{"isa": m["isa"], "threads": m["threads"]} for m in machines])
    found = explain_partition(make_partition([m["id"] for m in machines]), fields)
    assert found.splits == ()
    assert [[each.names for each in pair] for pair in found.pairs] == [[("isa",), ("threads",)]]
    # Two of the four combinations give the same.
    found = explain_partition(make_partition("aabbccaa"), fields)
    assert (found.splits, found.pairs, found.determining) == ((), (), (("isa", "threads"),))
    found = explain_partition(make_partition("aabbccaz"), fields)
    assert (found.determining, found.twins) == ((), (6, 7))


def test_a_finer_field_determines() -> None:
    field = Field("cpu", ["1", "1", "2", "2", "3", "3"])
    found = explain_partition(make_partition("aabbaa"), [field])
    assert (found.splits, found.determining) == ((), (("cpu",),))
    field = Field("host", ["1", "2", "3", "4", "5", "6"])
    assert explain_partition(make_partition("aabbaa"), [field]).determining == ()


def test_machines_outside_do_not_count() -> None:
    fields = [Field("f", ["1", "2", "2", "9"])]
    found = explain_partition(make_partition(["a", "b", "b", None]), fields)
    assert found.splits == (FieldSplit(("f",), (("2", "1"),)),)


def test_a_field_that_some_machines_lack_is_a_field() -> None:
    assert list_differing_fields([{"a": "1"}, {"a": "1", "b": "2"}]) == [Field("b", ["", "2"])]
