from __future__ import annotations

from pytest_repro.core.compare.statistics import Statistics, Unequal, unequal

ONE = Statistics(0.0, 2.0, 1.0, 0.5, 9.0, 0, ((0, "0.0"), (50, "1.0"), (98, "2.0")))


def test_what_is_not_the_same_is_named_in_the_order_of_the_record() -> None:
    other = ONE._replace(mean=1.5, non_finite=2, elements=((0, "0.0"), (50, "nan"), (99, "2.0")))
    assert list(unequal(ONE, other)) == [
        Unequal("mean", 1.0, 1.5), Unequal("non_finite", 0, 2), Unequal("element 50", "1.0", "nan"),
    ]  # fmt: skip
    assert list(unequal(ONE, ONE)) == []


def test_an_array_without_finite_elements_is_apart_from_one_with_some() -> None:
    found = list(unequal(Statistics(non_finite=3), ONE))
    assert found[0] == Unequal("min", None, 0.0)
    assert [each.name for each in found] == ["min", "max", "mean", "std", "l2", "non_finite"]
