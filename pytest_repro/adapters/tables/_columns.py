"""Columns as leaves: numbers, masks, text, Python objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.adapters import flatten
from pytest_repro.adapters._numpy_arrays import flatten_array
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.values.dtypes import view_bytes
from pytest_repro.values.elements import OBJECTS, TEXT, encode_elements, narrow_lengths

MAX_CELLS = 10_000
"""Cells of a column that are compared one by one, as each of them has parts."""

_NUMBERS: dict[type, tuple[str, Callable[[Any], object]]] = {
    bool: ("?", bool), float: ("<f8", float), int: ("<i8", int),
}  # fmt: skip
_PLAIN_LABELS = (str, int, float, bool, bytes, type(None))


def make_number_leaf(kind: str, values: NDArray[Any]) -> FlattenResult:
    """A leaf of numbers, of its own *kind*: ``datetime64[ns, UTC][3]``."""
    leaf = flatten_array(values)
    return replace(leaf, kind=kind, numeric=True, metadata="") if isinstance(leaf, Leaf) else leaf


def make_chunked_leaf(
    kind: str, dtype: str, chunks: Sequence[Callable[[], NDArray[Any]]], count: int
) -> Leaf:
    """A leaf of *count* numbers in several arrays, which are read one after the other."""
    size = np.dtype(dtype).itemsize
    read = lambda: (view_bytes(np.ascontiguousarray(load(), f"<{dtype}")) for load in chunks)  # noqa: E731
    element = np.dtype(dtype).name
    return Leaf(kind, element, (count,), size * count, read, numeric=True)


def make_element_leaf(kind: str, dtype: str, lengths: NDArray[Any], data: Sequence[Any]) -> Leaf:
    """A leaf of elements of any length: one of length -1 is missing, the others are in *data* in order."""
    short, views = narrow_lengths(lengths), [memoryview(each).cast("B") for each in data if len(each)]
    nbytes = short.nbytes + sum(each.nbytes for each in views)
    read = lambda: chain([view_bytes(short)], views)  # noqa: E731
    return Leaf(kind, dtype, (len(short),), nbytes, read, numeric=True)


def make_names_leaf(names: Sequence[str]) -> Leaf:
    """The names of columns."""
    lengths, data = encode_elements([each.encode("utf-8", "surrogatepass") for each in names])
    return make_element_leaf(f"str[{len(names)}]", TEXT, lengths, [data])


def make_range_leaf(values: range) -> Leaf:
    """The integers of a range, which are computed as they are read."""
    block = 2**16
    base = np.arange(block, dtype="<i8") * values.step

    def read() -> Iterable[memoryview]:
        buffer = np.empty(block, "<i8")
        for start in range(0, len(values), block):
            count = min(block, len(values) - start)
            yield view_bytes(np.add(base[:count], values[start], out=buffer[:count]))

    return Leaf(f"int64[{len(values)}]", "int64", (len(values),), 8 * len(values), read, numeric=True)


def make_objects_leaf(name: str, values: NDArray[Any]) -> FlattenResult:
    """A one-dimensional array of Python objects: one leaf if each is a number, a text or missing.

    Cells with parts, such as lists and arrays, are compared one by one. The types of all cells are compared.
    """
    cells = values.tolist()
    kinds = set(map(type, cells))
    missing = _find_missing(kinds)
    if missing is not None and kinds - {missing} == {str}:
        return _make_text_leaf(f"{name} of str or {missing.__name__}[{len(cells)}]", cells, missing)
    if kinds == {str} or not kinds:
        return _make_text_leaf(f"{name} of str[{len(cells)}]", cells, None)
    only = next(iter(kinds)) if len(kinds) == 1 else None
    if only in _NUMBERS and (numbers := _as_numbers(cells, _NUMBERS[only][0])) is not None:
        return make_number_leaf(f"{name} of {only.__name__}[{len(cells)}]", numbers)
    return _make_mixed_leaf(name, cells)


def _find_missing(kinds: set[type]) -> type | None:
    """The one type of missing value beside text: None, NaN, or another library's."""
    others = [each for each in kinds if each is not str]
    is_missing = len(others) == 1 and (others[0] in (type(None), float) or others[0].__name__ == "NAType")
    return others[0] if is_missing else None


def _make_text_leaf(kind: str, cells: list[Any], missing: type | None) -> FlattenResult:
    if missing is float and any(each == each for each in cells if type(each) is float):
        return _make_mixed_leaf("object", cells)  # a number is not a missing text
    present = cells if missing is None else [each for each in cells if type(each) is str]
    joined = "".join(present)
    data = joined.encode("utf-8", "surrogatepass")
    if len(data) != len(joined):
        encoded = (each.encode("utf-8", "surrogatepass") if type(each) is str else None for each in cells)
        lengths, data = encode_elements(list(encoded))
    elif missing is None:
        lengths = np.fromiter(map(len, cells), "i8", len(cells))
    else:
        sizes = (len(each) if type(each) is str else -1 for each in cells)
        lengths = np.fromiter(sizes, "i8", len(cells))
    return make_element_leaf(kind, TEXT, lengths, [data])


def _as_numbers(cells: list[Any], dtype: str) -> NDArray[Any] | None:
    try:
        return np.array(cells, dtype)
    except OverflowError:  # larger than int64
        return None


def _make_mixed_leaf(name: str, cells: list[Any]) -> FlattenResult:
    encoded: list[bytes | None] = []
    for cell in cells:
        leaf = flatten(cell)
        if not isinstance(leaf, Leaf) or leaf.shape:
            return _list_cells(name, cells)
        content = b"".join(bytes(each) for each in leaf.read_chunks())
        encoded.append(f"{leaf.kind}\0{leaf.dtype}\0".encode() + content)
    lengths, data = encode_elements(encoded)
    return make_element_leaf(f"{name}[{len(cells)}]", OBJECTS, lengths, [data])


def _list_cells(name: str, cells: list[Any]) -> FlattenResult:
    if len(cells) <= MAX_CELLS:
        return Parts(
            f"{name}[{len(cells)}]", ((f"[{i}]", cell) for i, cell in enumerate(cells)), numeric=True
        )
    kinds = sorted({type(each).__qualname__ for each in cells})
    return (
        f"is a column of {len(cells):,} Python objects ({', '.join(kinds[:3])}), and at most {MAX_CELLS:,} "
        "are compared: record an array of the numbers or texts in them"
    )


def name_columns(labels: Sequence[Any]) -> list[str]:
    """What users write for each column: ``['price']``; its place if the label is not unique or an object."""
    counts: dict[str, int] = {}
    texts = [f"[{each!r}]" if _is_plain(each) else "" for each in labels]
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return [text if text and counts[text] == 1 else f".iloc[:, {i}]" for i, text in enumerate(texts)]


def _is_plain(label: object) -> bool:
    return all(map(_is_plain, label)) if type(label) is tuple else type(label) in _PLAIN_LABELS


def read_own_attributes(value: Any, own: frozenset[str]) -> Iterable[tuple[str, object]]:
    """What a subclass or a user adds to *value*, beside the attributes *own* of the library.

    A namespace that a user registers is kept as an attribute once it is used: it is no value.
    """
    known = own.union(getattr(type(value), "_accessors", ()))
    names = sorted(name for name in getattr(value, "__dict__", {}) if name not in known)
    return ((f".{name}", getattr(value, name)) for name in names)
