"""Finds what to do with a value by the name of its class, without importing the module that defines it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")


def make_class_finder(table: Mapping[str, T]) -> Callable[[type], T | None]:
    """A function that returns the entry of *table* for a class: of it or else of its nearest base class.

    Keys are module and name of a class: ``"transformers.cache_utils.Cache"``.
    """

    @lru_cache(maxsize=512)  # 0.1 µs
    def find(kind: type) -> T | None:
        names = (f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)
        return next((table[name] for name in names if name in table), None)

    return find
