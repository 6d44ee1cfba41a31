"""The generators that can be seen: global ones, and those that variables lead to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.adapters import Adapter, active_adapters
from pytest_repro.interpose.patch import list_modules
from pytest_repro.interpose.user_frames import classify_code, is_user_module

_MAX_NODES, _MAX_DEPTH, _MAX_ITEMS = 5_000, 6, 100
_OPAQUE_TYPES = (str, bytes, int, float, complex, type, FunctionType, ModuleType, type(None))


class FoundGenerator(NamedTuple):
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
    def state_key(self) -> object:
        """Where it stands: what compares equal until it is asked."""
        return self.adapter.state_key(self.generator)


def find_generators(roots: Iterable[tuple[str, object]] = ()) -> list[FoundGenerator]:
    """Every global generator, and each other one that *roots* lead to, once.

    Args:
        roots: Names and values: local variables, a data set.
    """
    libraries = list(active_adapters().values())
    found = [
        FoundGenerator(name, each, lib) for lib in libraries for name, each in lib.global_generators().items()
    ]
    known = {id(each.generator) for each in found}
    for path, value in walk_reachable(roots):
        each = _match_generator(libraries, path, value)
        if each is not None and id(value) not in known:
            known.add(id(value))
            found.append(each)
    return found


def iter_user_globals() -> Iterator[tuple[str, object]]:
    """The globals of the user's modules, by module and name."""
    for module in list_modules():
        if is_user_module(module):
            for name, value in list(vars(module).items()):
                if not name.startswith(("__", "@")):
                    yield f"{module.__name__}.{name}", value


def _match_generator(libraries: Iterable[Adapter], path: str, value: object) -> FoundGenerator | None:
    for library in libraries:
        with suppress(Exception):  # a class of the user's own that only looks like a generator
            if library.state_key(value) is not None:
                kind = type(value)
                home = re.sub(r"\.(_\w+|mtrand)$", "", kind.__module__)
                return FoundGenerator(f"{path} ({home}.{kind.__qualname__})", value, library)
    return None


def walk_reachable(roots: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """What variables lead to by items and attributes, the nearest first; nothing is called to get there.

    Args:
        roots: Names and values.
    """
    todo = deque((name, value, 0) for name, value in roots)
    known, left = set[int](), _MAX_NODES
    while todo and left:
        path, value, depth = todo.popleft()
        if isinstance(value, _OPAQUE_TYPES) or id(value) in known:
            continue
        known.add(id(value))
        left -= 1
        yield path, value
        if depth < _MAX_DEPTH:
            todo.extend((f"{path}{name}", part, depth + 1) for name, part in _list_children(value))


def _list_children(value: Any) -> Iterable[tuple[str, object]]:
    if isinstance(value, dict):
        some = islice(value.items(), _MAX_ITEMS)
        return [(f"[{key!r}]", part) for key, part in some if isinstance(key, (str, int))]
    if isinstance(value, (list, tuple)):
        first, names = value[:_MAX_ITEMS], getattr(type(value), "_fields", ())
        called = [f".{name}" for name in names] or [f"[{i}]" for i in range(len(first))]
        return list(zip(called, first))
    if classify_code("", type(value).__module__) in ("runner", "none"):
        return []  # pytest's own: all of the session hangs on it
    try:
        held = dict(object.__getattribute__(value, "__dict__"))
    except (AttributeError, TypeError):
        return _read_slots(value)
    inner = held.pop("_modules", None)  # of torch: ``model.head``, not ``model._modules['head']``
    if isinstance(inner, dict):
        held = {**{name: part for name, part in held.items() if not name.startswith("_")}, **inner}
    return [(f"[{name}]" if str(name).isdigit() else f".{name}", part) for name, part in held.items()]


def _read_slots(value: object) -> list[tuple[str, object]]:
    """What an object without ``__dict__`` holds, if its class is written in Python."""
    names = [
        name for kind in type(value).__mro__ for name in list_slot_names(vars(kind).get("__slots__", ()))
    ]
    absent = object()
    found = [(f".{name}", getattr(value, name, absent)) for name in names]
    return [(name, part) for name, part in found if part is not absent]


def list_slot_names(slots: Any) -> tuple[str, ...]:
    """The names that a ``__slots__`` gives."""
    return (slots,) if isinstance(slots, str) else tuple(slots)
