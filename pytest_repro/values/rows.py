"""Rows of tables: whether two tables have the same rows in another order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from pytest_repro.core.compare.table import RowMoves
from pytest_repro.core.runs.observation import ELEMENT_DTYPES
from pytest_repro.values.dtypes import itemsize
from pytest_repro.values.elements import ElementArray

MAX_ROWS = 2_000_000
"""Rows of the largest table whose rows are looked for: text takes 0.3 µs an element and column."""

_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


class ColumnBytes(NamedTuple):
    """A column with one element for each row: its dtype and its bytes."""

    dtype: str
    content: Any


def hash_rows(columns: Iterable[ColumnBytes], count: int) -> NDArray[np.uint64]:
    """A hash of 64 bits of each of *count* rows, from all its elements in the order of *columns*."""
    rows = np.zeros(count, "u8")
    with np.errstate(over="ignore"):
        for column in columns:
            for words in _iter_words(column, count):
                rows = _mix(rows * _MULTIPLIERS[1] + words + _STEP)
    return rows


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): a bijection in which every bit counts."""
    words = (words ^ (words >> np.uint64(30))) * _MULTIPLIERS[0]
    words = (words ^ (words >> np.uint64(27))) * _MULTIPLIERS[1]
    return words ^ (words >> np.uint64(31))


def _iter_words(column: ColumnBytes, count: int) -> Iterable[NDArray[np.uint64]]:
    """The elements as words of 64 bits; elements of any length by their hashes."""
    if column.dtype in ELEMENT_DTYPES:
        array = ElementArray.read(column.dtype, count, column.content)
        hashes = (xxhash.xxh3_64_intdigest(array.get(i) or b"") for i in range(count))
        yield np.fromiter(hashes, "u8", count)
        yield array.lengths.astype("u8")  # a missing element is not an empty one
        return
    raw = np.frombuffer(column.content, "u1").reshape(count, itemsize(column.dtype))
    for start in range(0, raw.shape[1], 8):
        words = np.zeros((count, 8), "u1")
        part = raw[:, start : start + 8]
        words[:, : part.shape[1]] = part
        yield words.view("<u8")[:, 0]


def is_default_index(column: ColumnBytes, count: int) -> bool:
    """Whether its labels are only the positions, 0 to *count* - 1."""
    if column.dtype != "int64":
        return False
    return bool(np.array_equal(np.frombuffer(column.content, "<i8"), np.arange(count)))


def find_row_moves(
    reference: Sequence[ColumnBytes], other: Sequence[ColumnBytes], count: int, kept: int
) -> RowMoves | None:
    """Where the rows of *reference* are in *other*, if it has the same rows in another order.

    Args:
        reference: Columns, each with *count* elements.
        other: The same columns in the other run.
        count: Number of rows.
        kept: Number of moved rows to return.
    """
    ours, theirs = hash_rows(reference, count), hash_rows(other, count)
    if not np.array_equal(np.sort(ours), np.sort(theirs)):
        return None
    moved = np.flatnonzero(ours != theirs)
    if not len(moved):
        return None
    first = [int(each) for each in moved[:kept]]
    places = (next(int(at) for at in np.flatnonzero(theirs == ours[i]) if ours[at] != ours[i]) for i in first)
    return RowMoves(len(moved), tuple(zip(first, places)))
