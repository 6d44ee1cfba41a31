"""Iterators that live longer than a run: their positions, and iterators that start there again."""

from __future__ import annotations

import ast
import copy
import dis
import gc
import itertools
import warnings
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None))

Setter = Callable[[Any], object]

_MODULES = ("builtins", "itertools", "_collections")
_READABLE = (itertools.count, itertools.repeat)
"""Iterators whose repr is their position."""

_MAX_DEPTH, _MAX_WIDTH = 4, 50


class RewoundIterator:
    """Yields what another iterator yields from its position on, and can be copied there.

    Attributes:
        position: As :func:`describe_position` describes it.
    """

    def __init__(self, items: Iterator[Any], position: str) -> None:
        self._items, self.position = items, position

    def __iter__(self) -> RewoundIterator:
        return self

    def __next__(self) -> Any:
        self.position += "+"
        return next(self._items)

    def __copy__(self) -> RewoundIterator:
        return RewoundIterator(copy.copy(self._items), self.position)


def is_iterator(value: object) -> bool:
    """Whether *value* is a generator, or an iterator of Python's whose position is in no attribute."""
    if isinstance(value, (GeneratorType, RewoundIterator)):
        return True
    kind = type(value)
    return hasattr(kind, "__next__") and (kind.__module__ in _MODULES or hasattr(kind, "__length_hint__"))


def describe_position(value: Any) -> str:
    """A text that changes when the iterator *value* moves, without moving it."""
    if isinstance(value, RewoundIterator):
        return value.position
    parts = [*_list_parts(value, 0)]
    return (
        parts[0] if type(value) in _READABLE or hasattr(value, "__length_hint__") else f"at {' '.join(parts)}"
    )


def _list_parts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, PLAIN_TYPES):
        yield repr(value)
    elif depth < _MAX_DEPTH and (depth == 0 or isinstance(value, (tuple, list)) or is_iterator(value)):
        hint = getattr(type(value), "__length_hint__", None)
        if hint is not None:
            yield str(hint(value))
        elif type(value) in _READABLE:
            yield repr(value)
        else:
            for part in _list_referents(value)[:_MAX_WIDTH]:
                yield from _list_parts(part, depth + 1)


def _list_referents(value: Any) -> list[Any]:
    """What the position of *value* is in: other iterators, numbers, items that it keeps."""
    if isinstance(value, GeneratorType):
        frame = value.gi_frame
        return [] if frame is None else [*frame.f_locals.values(), frame.f_lasti, *gc.get_referents(value)]
    if type(value).__module__ == "itertools":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                return [*value.__reduce__()[1:]]  # Python 3.14 has none
            except TypeError:
                pass
    return gc.get_referents(value)


def can_rewind(value: object) -> bool:
    """Whether code that uses *value* cannot tell an iterator in its place: it has no methods of its own."""
    if not isinstance(value, GeneratorType):
        return isinstance(value, RewoundIterator) or type(value).__module__ in _MODULES
    names = [each.opname for each in dis.get_instructions(value.gi_code) if each.opname != "RESUME"]
    after = [b for a, b in itertools.pairwise(names) if a == "YIELD_VALUE"]
    return all(name == "POP_TOP" or name.startswith("JUMP") for name in after)  # others get what is sent


class Rewinder:
    """Replaces an iterator, which cannot be rewound, by others that start at its position."""

    def __init__(self, value: Any) -> None:
        self._start, self._setters = _rewind(value), list[Setter]()

    def add(self, setter: Setter) -> None:
        """Replaces it at one more place, now and later: wherever it was, it is still the same."""
        self._setters.append(setter)
        self.restore()

    def restore(self) -> None:
        value = _copy(self._start)
        for setter in self._setters:
            setter(value)


def _rewind(value: Any) -> Any:
    """An iterator at the position of *value*, from which that position can be copied."""
    if type(value) is itertools.count:
        numbers = repr(value).removeprefix("count")  # "(3)", "(3, 2)"; Python 3.14 does not copy it
        return itertools.count(*ast.literal_eval(f"{numbers[:-1]},)"))
    (items,) = itertools.tee(value, 1)
    return RewoundIterator(items, describe_position(value))


def _copy(value: Any) -> Any:
    return _rewind(value) if type(value) is itertools.count else copy.copy(value)
