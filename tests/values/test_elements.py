"""Arrays whose elements have any length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.values.elements import (
    ElementArray,
    encode_elements,
    format_as_kind,
    format_at,
    measure_element_difference,
    narrow_lengths,
)

ELEMENTS = st.lists(st.none() | st.binary(max_size=3), max_size=20)


def encode(elements: list[bytes | None]) -> memoryview:
    lengths, data = encode_elements(elements)
    return memoryview(lengths.tobytes() + data)


@given(ELEMENTS)
def test_elements_are_read_as_they_were_written(elements: list[bytes | None]) -> None:
    array = ElementArray.read("binary", len(elements), encode(elements))
    assert [array.get(i) for i in range(len(elements))] == elements


@given(ELEMENTS, st.data())
def test_the_differing_elements_are_counted(elements: list[bytes | None], data: st.DataObject) -> None:
    size = len(elements)
    others = data.draw(st.lists(st.none() | st.binary(max_size=3), min_size=size, max_size=size))
    differing = [i for i in range(size) if elements[i] != others[i]]
    found = measure_element_difference("binary", (size,), encode(elements), [encode(others)])
    assert (found.differing, found.outside_tolerance, found.total) == (len(differing), len(differing), size)
    assert [at for at, _, _ in found.first_elements] == differing[:3]
    assert (encode(elements) == encode(others)) == (elements == others)


def test_elements_as_text() -> None:
    reference: list[bytes | None] = [b"ann", None, b""]
    other: list[bytes | None] = [b"ann", b"", "é".encode() * 100]
    found = measure_element_difference("utf8", (3,), encode(reference), [encode(other)])
    first = ((1, "null", "''"), (2, "''", f"'{'é' * 57}…'"))
    assert found == Difference(2, 3, 2, None, None, None, (1,), ("null", "''"), first_elements=first)
    objects = encode([b"int\0int64\0" + (7).to_bytes(8, "little"), b"str\0\0seven", b"None\0\0None"])
    assert [format_at("objects", 3, objects, i) for i in range(3)] == ["7", "'seven'", "None"]
    assert format_at("float64", 2, memoryview(np.array([0.5, 0.1]).tobytes()), 1) == "0.1"


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("datetime64[ns, Europe/Berlin][3]", "1704067200000000000", "2024-01-01T00:00:00 Europe/Berlin"),
        ("datetime64[us][3]", "1704067200500000", "2024-01-01T00:00:00.500000"),
        ("timestamp[ms, tz=UTC][3]", "0", "1970-01-01T00:00:00 UTC"),
        ("date32[day][3]", "19723", "2024-01-01"),
        ("Datetime[us][3]", "-1", "1969-12-31T23:59:59.999999"),
        ("duration[s][3]", "90", "90 seconds"),
        ("period[M][3]", "600", "2020-01"),
        ("period[Q-DEC][3]", "200", "200"),
        ("int64[3]", "600", "600"),
        ("datetime64[ns][3]", "null", "null"),
    ],
)
def test_integers_are_shown_as_what_they_stand_for(kind: str, text: str, shown: str) -> None:
    assert format_as_kind(kind, text) == shown


def test_elements_of_2_gib_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^an element has 2,147,483,648 bytes, and at most 2 GiB are read$"):
        narrow_lengths(np.array([1, 2**31]))
