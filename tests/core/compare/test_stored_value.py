from __future__ import annotations

from pytest_repro.core.compare.stored_value import StatisticDifference, Statistics, compare_statistics

ONE = Statistics(0.0, 2.0, 1.0, 0.5, 9.0, 0, ((0, "0.0"), (50, "1.0"), (98, "2.0")))


def test_what_is_not_the_same_is_named_in_the_order_of_the_record() -> None:
    other = ONE._replace(mean=1.5, non_finite=2, elements=((0, "0.0"), (50, "nan"), (99, "2.0")))
    assert list(compare_statistics(ONE, other)) == [
        StatisticDifference("mean", 1.0, 1.5),
        StatisticDifference("non_finite", 0, 2),
        StatisticDifference("element 50", "1.0", "nan"),
    ]
    assert list(compare_statistics(ONE, ONE)) == []


def test_an_array_without_finite_elements_is_apart_from_one_with_some() -> None:
    found = list(compare_statistics(Statistics(non_finite=3), ONE))
    assert found[0] == StatisticDifference("min", None, 0.0)
    assert [each.name for each in found] == ["min", "max", "mean", "std", "l2", "non_finite"]
