"""Finds random generators: global ones, and those reachable from variables."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.adapters import Adapter, active_adapters, find_generator_adapter
from pytest_repro.interpose.code_owner import classify_code
from pytest_repro.interpose.patch import list_user_modules

_MAX_NODES, _MAX_DEPTH, _MAX_ITEMS = 5_000, 6, 100
_OPAQUE_TYPES = (str, bytes, int, float, complex, type, FunctionType, ModuleType, type(None))


class FoundGenerator(NamedTuple):
    """A generator and its library; named ``torch cpu``, ``dataset.rng (numpy.random.Generator)``."""

    name: str
    generator: object
    adapter: Adapter

    @property
    def state_key(self) -> object:
        """Compares equal until the generator is used."""
        return self.adapter.state_key(self.generator)

    def read(self) -> str | None:
        """The state, as text."""
        return self.adapter.get_state(self.generator)

    def restore(self, state: str) -> None:
        """Restores what :meth:`read` returned."""
        self.adapter.set_state(self.generator, state)


def find_generators(roots: Iterable[tuple[str, object]] = ()) -> list[FoundGenerator]:
    """Every global generator, and each other one reachable from *roots*: names and values of variables."""
    generators = [
        FoundGenerator(name, generator, adapter)
        for adapter in active_adapters().values()
        for name, generator in adapter.global_generators().items()
    ]
    known_ids = {id(found.generator) for found in generators}
    for path, value in walk_reachable(roots):
        adapter = find_generator_adapter(value)
        if adapter is not None and id(value) not in known_ids:
            known_ids.add(id(value))
            module = re.sub(r"\.(_\w+|mtrand)$", "", type(value).__module__)
            name = f"{path} ({module}.{type(value).__qualname__})"
            generators.append(FoundGenerator(name, value, adapter))
    return generators


def iter_user_globals() -> Iterator[tuple[str, object]]:
    """The globals of the user's modules, named ``module.name``."""
    for module in list_user_modules():
        for name, value in list(vars(module).items()):
            if not name.startswith(("__", "@")):
                yield f"{module.__name__}.{name}", value


def walk_reachable(roots: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """Paths and values reachable from *roots* by items and attributes, nearest first; calls nothing."""
    queue = deque((name, value, 0) for name, value in roots)
    known_ids = set[int]()
    while queue and len(known_ids) < _MAX_NODES:
        path, value, depth = queue.popleft()
        if isinstance(value, _OPAQUE_TYPES) or id(value) in known_ids:
            continue
        known_ids.add(id(value))
        yield path, value
        if depth < _MAX_DEPTH:
            queue.extend((f"{path}{name}", part, depth + 1) for name, part in _list_children(value))


def _list_children(value: Any) -> Iterable[tuple[str, object]]:
    if isinstance(value, dict):
        items = islice(value.items(), _MAX_ITEMS)
        return [(f"[{key!r}]", part) for key, part in items if isinstance(key, (str, int))]
    if isinstance(value, (list, tuple)):
        parts, fields = value[:_MAX_ITEMS], getattr(type(value), "_fields", ())
        suffixes = [f".{field}" for field in fields] or [f"[{i}]" for i in range(len(parts))]
        return list(zip(suffixes, parts))
    if classify_code("", type(value).__module__) in ("runner", "none"):
        return []  # pytest's objects lead to the whole session
    for adapter in active_adapters().values():
        if (members := adapter.list_members(value)) is not None:
            return members
    try:
        attributes = dict(object.__getattribute__(value, "__dict__"))
    except (AttributeError, TypeError):
        return [(f".{name}", getattr(value, name)) for name in list_slots(value)]
    submodules = attributes.pop("_modules", None)  # torch: ``model.head``, not ``model._modules['head']``
    if isinstance(submodules, dict):
        public = {name: part for name, part in attributes.items() if not name.startswith("_")}
        attributes = {**public, **submodules}
    return [(f"[{name}]" if str(name).isdigit() else f".{name}", part) for name, part in attributes.items()]


def list_slots(value: object) -> list[str]:
    """The names of the slots of *value* that are set, if its class is written in Python."""
    slots = (vars(kind).get("__slots__", ()) for kind in type(value).__mro__)
    # __slots__ may be a single string.
    names = (name for each in slots for name in ((each,) if isinstance(each, str) else tuple(each)))
    return [name for name in names if hasattr(value, name)]
