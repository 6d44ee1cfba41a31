"""Text in tables and attributes with the names of folders that are others in each run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_repro.core.runs.observation import ELEMENT_DTYPES, Leaf


def rename_leaf(leaf: Leaf, rename: Callable[[Any], Any]) -> Leaf:
    """*leaf* with other names in its text.

    Args:
        leaf: Any leaf.
        rename: Returns a buffer itself if no name is in it, else its bytes with other names.
    """
    is_array = leaf.dtype in ELEMENT_DTYPES
    if not (is_array or leaf.dtype == "") or all(rename(each) is each for each in leaf.read_chunks()):
        return leaf
    content = b"".join(bytes(each) for each in leaf.read_chunks())
    if not is_array:
        return _replace_content(leaf, rename(content))
    from pytest_repro.values.elements import ElementArray, encode_elements  # it imports numpy

    array = ElementArray.read(leaf.dtype, leaf.shape[0], content)
    elements = [array.get(index) for index in range(leaf.shape[0])]
    lengths, data = encode_elements([None if each is None else rename(each) for each in elements])
    return _replace_content(leaf, lengths.tobytes() + data)


def _replace_content(leaf: Leaf, content: bytes) -> Leaf:
    return replace(leaf, nbytes=len(content), read_chunks=lambda: (memoryview(content),))
