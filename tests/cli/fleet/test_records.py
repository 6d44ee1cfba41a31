from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.cli.compare import CompareOptions, compare_value
from pytest_repro.cli.fleet.records import MISSING, name_machines, read_fleet
from pytest_repro.cli.fleet.values import ValueClasses
from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from pytest_repro.core.plan.plan import EXACT, Tolerance
from tests.cli.reports import number, report, row


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.json", "out/b.json", "c"], ["a", "b", "c"]),
        (["x/a.json", "y/a.json", "b.json"], ["x/a", "y/a", "b"]),
        (["1/x/a.json", "2/x/a.json"], ["1/x/a", "2/x/a"]),
        (["a.json", "a.json", "a.json"], ["a", "a#2", "a#3"]),
        ([".json"], [".json"]),
    ],
)
def test_machines_are_named_as_their_files(paths: list[str], names: list[str]) -> None:
    assert name_machines(paths) == names


def test_machines_that_say_the_same_share_a_row(tmp_path: Path) -> None:
    paths = [
        report(tmp_path / f"{n}.json", row(number("x", float(n > 7)), number("y", 1.0))) for n in range(9)
    ]
    paths.append(report(tmp_path / "empty.json"))
    (test,) = read_fleet(paths, CompareOptions()).tests
    assert len(test.rows) == 2
    assert test.select_rows(10) == [0] * 8 + [1, MISSING]
    assert [list(each.classes) for each in test.rows] == [[0, 0], [1, 0]]


def near(tolerance: float) -> CompareOptions:
    return CompareOptions(Tolerance(0.0, tolerance), ignores_markers=True)


def classify(options: CompareOptions, *values: float) -> tuple[list[int], ValueClasses]:
    classes = ValueClasses("x")
    return [classes.classify(number("x", value), options) for value in values], classes


def test_bits_are_transitive_closeness_is_not() -> None:
    assert classify(CompareOptions(EXACT), 1.0, 2.0, 1.0, 3.0)[0] == [0, 1, 0, 2]
    found, classes = classify(near(1.0), 0.0, 1.0, 3.0)
    assert (found, classes.between, classes.is_wide) == ([0, 0, 1], 0, False)
    found, classes = classify(near(1.0), 0.0, 1.0, -1.0)  # both close to 0, not to each other
    assert (found, classes.between, classes.is_wide) == ([0, 0, 0], 0, True)
    found, classes = classify(near(1.0), 0.0, 2.0, 1.0)  # close to both
    assert (found, classes.between, classes.is_wide) == ([0, 1, 0], 1, False)


def test_of_many_classes_few_values_are_kept() -> None:
    found, classes = classify(CompareOptions(EXACT), *map(float, range(100)))
    assert found == [*range(100)]
    assert (len(classes.samples), classes.identity_count) == (8, 100)


def test_values_of_another_kind_are_another_class() -> None:
    classes = ValueClasses("x")
    for expected, value in enumerate(
        [number("x", 1.0), number("x", 1.0, "float32[]"), StoredValue("x", "str", "1", text="1.0")]
    ):
        assert classes.classify(value, near(9.0)) == expected


ELEMENTS = st.one_of(st.floats(-4, 4), st.sampled_from([math.nan, math.inf, 1e308, -0.0, 2**70, 1j]))


@given(
    st.lists(st.lists(ELEMENTS, min_size=2, max_size=2), max_size=12),
    st.sampled_from([0.0, 0.1, 0.9, 2.0]),
    st.floats(0.01, 3),
)
def test_a_value_is_of_the_first_class_that_it_is_close_to(
    arrays: list[list[Any]], rtol: float, atol: float
) -> None:
    options = CompareOptions(Tolerance(rtol, atol), ignores_markers=True)
    values = [StoredValue("x", "float64[2]", repr(each), tuple(each)) for each in arrays]
    classes, firsts = ValueClasses("x"), list[StoredValue]()
    for value in values:
        close = (n for n, first in enumerate(firsts) if are_close(first, value, options))
        expected = next(close, len(firsts))
        if expected == len(firsts):
            firsts.append(value)
        assert classes.classify(value, options) == expected


def are_close(a: StoredValue, b: StoredValue, options: CompareOptions) -> bool:
    found = compare_value("x", a, b, options)
    return found is None or found.close


def test_statistics_have_an_order_too() -> None:
    options = CompareOptions(Tolerance(0.0, 1.0), use_statistics=True)
    classes = ValueClasses("x")
    for mean, expected in ((0.0, 0), (0.5, 0), (7.0, 1), (None, 2), (7.5, 1)):
        statistics = Statistics(0.0, 9.0, mean, 1.0, 1.0)
        value = StoredValue("x", "float64[99]", repr(mean), statistics=statistics)
        assert classes.classify(value, options) == expected
