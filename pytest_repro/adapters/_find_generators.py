"""The generators that can be seen: global ones, and those that variables lead to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.adapters import Adapter, awake
from pytest_repro.interpose.patch import modules
from pytest_repro.interpose.user_frames import is_users, owner

_NODES, _DEPTH, _ITEMS = 5_000, 6, 100
_CLOSED = (str, bytes, int, float, complex, type, FunctionType, ModuleType, type(None))


class Seen(NamedTuple):
    """A generator, and what it is called.

    Attributes:
        name: ``torch cpu``; ``dataset.rng (numpy.random.Generator)``.
        generator: Itself.
        adapter: Of its library.
    """

    name: str
    generator: object
    adapter: Adapter

    @property
    def place(self) -> object:
        """Where it stands: what compares equal until it is asked."""
        return self.adapter.place(self.generator)


def seen(roots: Iterable[tuple[str, object]] = ()) -> list[Seen]:
    """Every global generator, and each other one that *roots* lead to, once.

    Args:
        roots: Names and values: local variables, a data set.
    """
    libraries = list(awake().values())
    found = [Seen(name, each, lib) for lib in libraries for name, each in lib.generators().items()]
    known = {id(each.generator) for each in found}
    for path, value in reached(roots):
        each = _generator(libraries, path, value)
        if each is not None and id(value) not in known:
            known.add(id(value))
            found.append(each)
    return found


def users_globals() -> Iterator[tuple[str, object]]:
    """The globals of the user's modules, by module and name."""
    for module in modules():
        if is_users(module):
            for name, value in list(vars(module).items()):
                if not name.startswith(("__", "@")):
                    yield f"{module.__name__}.{name}", value


def _generator(libraries: Iterable[Adapter], path: str, value: object) -> Seen | None:
    for library in libraries:
        with suppress(Exception):  # a class of the user's own that only looks like a generator
            if library.place(value) is not None:
                kind = type(value)
                home = re.sub(r"\.(_\w+|mtrand)$", "", kind.__module__)
                return Seen(f"{path} ({home}.{kind.__qualname__})", value, library)
    return None


def reached(roots: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """What variables lead to by items and attributes, the nearest first; nothing is called to get there.

    Args:
        roots: Names and values.
    """
    todo = deque((name, value, 0) for name, value in roots)
    known, left = set[int](), _NODES
    while todo and left:
        path, value, depth = todo.popleft()
        if isinstance(value, _CLOSED) or id(value) in known:
            continue
        known.add(id(value))
        left -= 1
        yield path, value
        if depth < _DEPTH:
            todo.extend((f"{path}{name}", part, depth + 1) for name, part in _parts(value))


def _parts(value: Any) -> Iterable[tuple[str, object]]:
    if isinstance(value, dict):
        some = islice(value.items(), _ITEMS)
        return [(f"[{key!r}]", part) for key, part in some if isinstance(key, (str, int))]
    if isinstance(value, (list, tuple)):
        first, names = value[:_ITEMS], getattr(type(value), "_fields", ())
        called = [f".{name}" for name in names] or [f"[{i}]" for i in range(len(first))]
        return list(zip(called, first))
    if owner("", type(value).__module__) in ("runner", "none"):
        return []  # pytest's own: all of the session hangs on it
    try:
        held = dict(object.__getattribute__(value, "__dict__"))
    except (AttributeError, TypeError):
        return _slots(value)
    inner = held.pop("_modules", None)  # of torch: ``model.head``, not ``model._modules['head']``
    if isinstance(inner, dict):
        held = {**{name: part for name, part in held.items() if not name.startswith("_")}, **inner}
    return [(f"[{name}]" if str(name).isdigit() else f".{name}", part) for name, part in held.items()]


def _slots(value: object) -> list[tuple[str, object]]:
    """What an object without ``__dict__`` holds, if its class is written in Python."""
    names = [name for kind in type(value).__mro__ for name in names_of(vars(kind).get("__slots__", ()))]
    absent = object()
    found = [(f".{name}", getattr(value, name, absent)) for name in names]
    return [(name, part) for name, part in found if part is not absent]


def names_of(slots: Any) -> tuple[str, ...]:
    """The names that a ``__slots__`` gives."""
    return (slots,) if isinstance(slots, str) else tuple(slots)
