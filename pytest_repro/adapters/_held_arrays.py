"""Finds the arrays that an attribute holds, also in lists and dicts, which a framework does not track."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_repro.adapters import find_array_adapter
from pytest_repro.core.runs.observation import Leaf

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type)
_MAX_DEPTH = 4


def iter_held_arrays(
    value: Any, path: str, seen: set[int], others: tuple[type, ...] = (), depth: int = 0
) -> Iterator[tuple[str, object]]:
    """The arrays in *value*, an attribute at *path*, and in its lists, tuples and dicts, each once.

    Args:
        seen: The ``id`` of values that are read elsewhere; those of found ones are added.
        others: Types that are values as well, beside arrays of numbers or text.
    """
    if isinstance(value, _PLAIN) or id(value) in seen or depth > _MAX_DEPTH:
        return
    if isinstance(value, (list, tuple)):
        parts = ((f"[{number}]", part) for number, part in enumerate(value))
    elif isinstance(value, Mapping):
        parts = ((f"[{key!r}]", part) for key, part in value.items() if isinstance(key, (str, int)))
    else:
        seen.add(id(value))
        if isinstance(value, others) or _is_readable_array(value):
            yield path, value
        return
    for suffix, part in parts:
        yield from iter_held_arrays(part, path + suffix, seen, others, depth + 1)


def _is_readable_array(value: object) -> bool:
    adapter = find_array_adapter(value)
    return adapter is not None and isinstance(adapter.flatten(value), Leaf)
