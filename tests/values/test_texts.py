from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import flatten
from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.plan.plan import EXACT, Tolerance
from pytest_repro.core.runs.observation import Leaf
from pytest_repro.values.texts import decode_integer, format_integer, measure_text_difference


def read(value: object) -> bytes:
    leaf = flatten(value)
    assert isinstance(leaf, Leaf)
    return b"".join(map(bytes, leaf.read_chunks()))


def measure(left: object, right: object, tolerance: Tolerance = EXACT) -> Difference:
    pieces = [memoryview(read(right))]
    return measure_text_difference(type(left).__name__, memoryview(read(left)), pieces, tolerance)


def test_text_and_bytes_are_shown_from_where_they_diverge() -> None:
    found = measure("x" * 100 + "left" + "y" * 100, "x" * 100 + "right")
    assert found.first_values == (f"…'{'x' * 20}left{'y' * 36}'…", f"…'{'x' * 20}right'")
    assert measure(b"\x00\xff", b"\x00\xfe").first_values == (r"b'\x00\xff'", r"b'\x00\xfe'")


def test_of_sets_the_members_are_counted() -> None:
    pieces = [memoryview(read({1, 4, 5}))]
    found = measure_text_difference("set[3]", memoryview(read({1, 2, 3})), pieces, EXACT)
    assert found.first_values == ("2 of 3 members only", "2 of 3 members only")


@pytest.mark.parametrize(
    ("left", "right", "max_abs", "shown"),
    [
        (2**70, 2**70 + 1, 1, ("1180591620717411303424", "1180591620717411303425")),
        (-1, 2**64, 2.0**64, ("-1", "18446744073709551616")),
        (2**2000, 0, 1.7976931348623157e308, (f"{str(2**2000)[:30]}…{str(2**2000)[-29:]}", "0")),
    ],
)
def test_large_integers_have_digits_and_distances(
    left: int, right: int, max_abs: float, shown: tuple[str, str]
) -> None:
    found = measure(left, right)
    assert (found.max_abs, found.first_values, found.outside_tolerance) == (max_abs, shown, 1)
    assert not measure(10**30, 10**30 + 1, Tolerance(1e-9, 0)).outside_tolerance


@given(st.integers())
def test_every_integer_is_read_as_it_was_stored(number: int) -> None:
    assert decode_integer(read(number)) == number


@given(st.integers(-(10**58), 10**58))
def test_up_to_sixty_digits_are_shown(number: int) -> None:
    assert format_integer(number) == str(number)
