"""Finds the arrays that an attribute holds, also in lists and dicts, which a framework does not track."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_repro.adapters import find_array_adapter
from pytest_repro.adapters._python_values import format_plain_key
from pytest_repro.core.runs.observation import Leaf

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type)


def iter_held_arrays(
    value: Any, path: str, seen: set[int], others: tuple[type, ...] = ()
) -> Iterator[tuple[str, object]]:
    """The arrays in *value*, an attribute at *path*, and in its lists, tuples, deques and dicts, each once.

    Args:
        seen: The ``id`` of values that are read elsewhere; those of found ones are added.
        others: Types that are values as well, beside arrays of numbers or text.
    """
    stack = [(path, value)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, _PLAIN) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (list, tuple, deque, Mapping)):
            parts = [(f"{path}{suffix}", part) for suffix, part in _iter_parts(value)]
            stack.extend(reversed(parts))
        elif isinstance(value, others) or _is_readable_array(value):
            yield path, value


def _iter_parts(value: Any) -> Iterator[tuple[str, object]]:
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
    for number, (key, part) in enumerate(items):
        if not isinstance(part, _PLAIN):
            # An object as key has no name that is the same in each run: its place in the dict is.
            yield format_plain_key(key) or f"[{type(key).__qualname__} {number}]", part


def _is_readable_array(value: object) -> bool:
    adapter = find_array_adapter(value)
    return adapter is not None and isinstance(adapter.flatten(value), Leaf)
