"""Arrow arrays as leaves: only logical values count, whatever the chunks, slices and bytes under nulls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pytest_repro.adapters.tables._columns import make_chunked_leaf, make_element_leaf
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.values.elements import BINARY, TEXT

_types: Any = pa.types
_CASTS = (
    (_types.is_decimal, pa.large_string()),
    (lambda kind: kind == pa.string_view(), pa.large_string()),
    (lambda kind: kind == pa.binary_view(), pa.large_binary()),
    (_types.is_fixed_size_binary, pa.large_binary()),
)
"""Types that are read as others, which hold the same values."""


def flatten_arrow(
    chunks: Sequence[Any], kind: Any, name: str = "", mask: str = ".is_null()"
) -> FlattenResult:
    """The values of the Arrow arrays *chunks*, all of the type *kind*, as those of one array.

    The type is called *name*, by default as Arrow does; *mask* is the path of the mask of missing elements.
    """
    count, name = sum(map(len, chunks)), name or str(kind)
    title = f"{name}[{count}]"
    if isinstance(kind, pa.BaseExtensionType):
        return flatten_arrow([each.storage for each in chunks], kind.storage_type, name, mask)
    if _types.is_dictionary(kind):
        decoded = [each.dictionary_decode() for each in chunks]
        return flatten_arrow(decoded, kind.value_type, name, mask)
    if _types.is_run_end_encoded(kind):
        return flatten_arrow([pc.run_end_decode(each) for each in chunks], kind.value_type, name, mask)
    if _types.is_null(kind):
        return Leaf(title, "", (), 0, lambda: (), numeric=True)
    if _types.is_map(kind):
        items = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        return flatten_arrow([each.cast(items) for each in chunks], items, name, mask)
    for fits, target in _CASTS:
        if fits(kind):
            return flatten_arrow([each.cast(target) for each in chunks], target, name, mask)
    if _types.is_union(kind):
        return f"is of the Arrow type {kind}: record each of its fields"
    if _types.is_nested(kind):
        return Parts(title, _iter_nested(chunks, kind, mask), numeric=True)
    if _is_text(kind):
        return make_text_leaf(title, chunks, kind)
    if kind.bit_width > 64:
        return f"is of the Arrow type {kind}, which cannot be recorded: cast it to another type"
    dtype, read = _get_reader(kind)
    numbers = make_chunked_leaf(title, dtype, [partial(read, each) for each in chunks], count)
    return Parts(name, (("", numbers), (mask, make_mask_leaf(chunks))), numeric=True)


def _is_text(kind: Any) -> bool:
    tests = _types.is_string, _types.is_large_string, _types.is_binary, _types.is_large_binary
    return any(test(kind) for test in tests)


def make_mask_leaf(chunks: Sequence[Any]) -> Leaf:
    """Which elements are null."""
    loads = [partial(_read_mask, each) for each in chunks]
    return make_chunked_leaf(f"bool[{sum(map(len, chunks))}]", "?", loads, sum(map(len, chunks)))


def _read_mask(chunk: Any) -> NDArray[Any]:
    if not chunk.null_count:
        return np.zeros(len(chunk), "?")
    return np.asarray(pc.is_null(chunk).to_numpy(zero_copy_only=False))


def _get_reader(kind: Any) -> tuple[str, Any]:
    """The dtype of numpy and the function that reads a chunk."""
    if _types.is_boolean(kind):
        return "?", _read_bools
    code = "f" if _types.is_floating(kind) else "u" if _types.is_unsigned_integer(kind) else "i"
    dtype = f"{code}{kind.bit_width // 8}"
    return dtype, partial(_read_numbers, dtype=dtype)


def _read_bools(chunk: Any) -> NDArray[Any]:
    known = chunk.fill_null(False) if chunk.null_count else chunk
    return np.asarray(known.to_numpy(zero_copy_only=False), "?")


def _read_numbers(chunk: Any, dtype: str) -> NDArray[Any]:
    content = chunk.buffers()[1]
    if not len(chunk) or content is None:
        return np.zeros(len(chunk), dtype)
    size = np.dtype(dtype).itemsize
    values = np.frombuffer(content, dtype, len(chunk), chunk.offset * size)
    if not chunk.null_count:
        return values
    filled = values.copy()
    filled[_read_mask(chunk)] = 0  # what lies under a null is no value
    return filled


def make_text_leaf(title: str, chunks: Sequence[Any], kind: Any) -> Leaf:
    """Text or bytes; *title* is the kind of the leaf."""
    dtype = TEXT if _types.is_string(kind) or _types.is_large_string(kind) else BINARY
    lengths, data = list[NDArray[Any]](), list[Any]()
    for chunk in chunks:
        own, content = _read_text(chunk, kind)
        lengths.append(own)
        data.append(content)
    return make_element_leaf(title, dtype, np.concatenate([np.empty(0, "i4"), *lengths]), data)


def _read_text(chunk: Any, kind: Any) -> tuple[NDArray[Any], Any]:
    """Lengths and bytes of the elements; what lies under a null is left out."""
    missing = _read_mask(chunk) if chunk.null_count else None
    present = chunk.drop_null() if missing is not None else chunk
    _, offsets, content = present.buffers()
    if not len(present) or offsets is None:
        ends = np.zeros(len(present) + 1, "i8")
    else:
        wide = "i8" if _types.is_large_string(kind) or _types.is_large_binary(kind) else "i4"
        start = present.offset * np.dtype(wide).itemsize
        ends = np.frombuffer(offsets, wide, len(present) + 1, start)
    known = np.diff(ends)
    data = memoryview(content)[int(ends[0]) : int(ends[-1])] if content is not None else b""
    if missing is None:
        return known, data
    lengths = np.full(len(chunk), -1, known.dtype)
    lengths[~missing] = known
    return lengths, data


def _iter_nested(chunks: Sequence[Any], kind: Any, mask: str) -> Iterator[tuple[str, object]]:
    """The parts of lists and structs, without what lies under nulls."""
    yield mask, make_mask_leaf(chunks)
    present = [each.drop_null() for each in chunks]
    if _types.is_struct(kind):
        fields = [each.flatten() for each in present]
        for i in range(kind.num_fields):
            field = kind.field(i)
            yield f".field({field.name!r})", pa.chunked_array([each[i] for each in fields], field.type)
        return
    loads = [partial(_read_list_lengths, each) for each in present]
    count = sum(map(len, present))
    yield ".value_lengths()", make_chunked_leaf(f"int64[{count}]", "i8", loads, count)
    values = [each.flatten() for each in present]
    inner = values[0].type if values else kind.value_type
    yield ".flatten()", pa.chunked_array(values, inner)


def _read_list_lengths(chunk: Any) -> NDArray[Any]:
    return np.asarray(pc.list_value_length(chunk).to_numpy(zero_copy_only=False), "i8")
