"""The state of a process that a run can change: globals, caches, default arguments, fixtures, files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.adapters import active_adapters, flatten_known
from pytest_repro.core.diagnose import StateRoot
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.interpose.user_frames import is_user_module
from pytest_repro.values.hashing import digest

MAX_DEPTH, MAX_WIDTH, MAX_NODES, MAX_NBYTES = 5, 200, 50_000, 2**26
"""Limits of the search: depth, items per container, values in total, bytes of an array."""

PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None))

Setter = Callable[[Any], object]
BodyStartCallback = Callable[[], None]
"""Called right before the body of a run starts."""


class StateFact(NamedTuple):
    """The state of one value.

    Attributes:
        size: Number of its items; None if it has none.
        content: Equal for equal contents.
    """

    size: int | None
    content: str


StateFacts = Mapping[str, StateFact]


def capture_state(roots: Mapping[str, StateRoot]) -> StateFacts:
    """The state of *roots*, the user's modules, libraries' switches and files, by name.

    Args:
        roots: Values that belong to the test, by name: ``"fixture model"``.
    """
    visitor = StateVisitor()
    visitor.visit_roots(roots)
    visitor.visit_modules()
    for adapter in active_adapters().values():
        visitor.facts.update((name, StateFact(None, value)) for name, value in adapter.switches().items())
    visitor.facts.update(_capture_files())
    return visitor.facts


class StateVisitor:
    """Visits values and their parts, each once."""

    def __init__(self) -> None:
        self.facts: dict[str, StateFact] = {}
        self._visited_ids: set[int] = set()

    def on_value(self, name: str, value: object, setter: Setter | None) -> None:
        """Called once for each value and name; *setter* replaces the value, if that is possible."""

    def visit_roots(self, roots: Mapping[str, StateRoot]) -> None:
        """Visits the values that belong to the test."""
        for name, root in roots.items():
            self.visit(name, root.value, 0)

    def visit_modules(self) -> None:
        """Visits the globals of the user's modules."""
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and is_user_module(module):
                self._visit_module(module)

    def _visit_module(self, module: ModuleType) -> None:
        for name, value in list(vars(module).items()):
            if not name.startswith(("__", "@")) and getattr(value, "__module__", "") != "pytest_repro":
                self.visit(f"{module.__name__}.{name}", value, 0, partial(setattr, module, name))

    def visit(self, name: str, value: object, depth: int, setter: Setter | None = None) -> None:
        """Visits *value* and its parts, whose names start with *name*."""
        self.on_value(name, value, setter)
        if isinstance(value, PLAIN_TYPES):
            self.facts[name] = StateFact(None, repr(value))
        elif not isinstance(value, (ModuleType, BuiltinFunctionType)) and self._mark_new(value, depth):
            with suppress(Exception):  # a foreign object may raise anything when it is read
                self._visit_content(name, value, depth + 1)

    def _mark_new(self, value: object, depth: int) -> bool:
        new = id(value) not in self._visited_ids and depth < MAX_DEPTH and len(self._visited_ids) < MAX_NODES
        self._visited_ids.add(id(value))
        return new

    def _visit_content(self, name: str, value: Any, depth: int) -> None:
        if callable(getattr(value, "cache_info", None)):
            self.facts[name] = StateFact(value.cache_info().currsize, "cache")
        if isinstance(value, (FunctionType, type)):
            self._visit_code(name, value, depth)
        elif isinstance(value, (dict, list, tuple, set, frozenset)) or hasattr(value, "popleft"):
            self._visit_container(name, value, depth)
        elif (flat := flatten_known(value)) is not None and not isinstance(flat, str):
            self._visit_flat(name, flat, depth)
        elif type(value).__module__ == "itertools" or hasattr(value, "__length_hint__"):
            self.facts[name] = StateFact(None, _format_iterator_position(value))
        elif not callable(value) or hasattr(value, "__dict__"):
            self._visit_attributes(name, value, vars(value), depth)

    def _visit_code(self, name: str, value: Any, depth: int) -> None:
        """Visits default arguments and attributes of a function, attributes and methods of a class."""
        module = sys.modules.get(value.__module__)
        if module is None or not is_user_module(module):
            return
        for number, default in enumerate(getattr(value, "__defaults__", None) or ()):
            self.visit(f"{name}(default {number + 1})", default, depth)
        data = {n: v for n, v in vars(value).items() if not n.startswith("__") and not callable(v)}
        self._visit_attributes(name, value, data, depth)
        if isinstance(value, type):
            methods = {n: v for n, v in vars(value).items() if isinstance(v, FunctionType)}
            self._visit_attributes(name, value, methods, depth)

    def _visit_attributes(
        self, name: str, owner: object, attributes: Mapping[str, object], depth: int
    ) -> None:
        for attribute, value in islice(list(attributes.items()), MAX_WIDTH):
            self.visit(f"{name}.{attribute}", value, depth, partial(setattr, owner, attribute))

    def _visit_container(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, (set, frozenset)):  # has no keys to visit its members by
            plain = sorted(repr(member) for member in value if isinstance(member, PLAIN_TYPES))
            self.facts[name] = StateFact(len(value), " ".join(plain))
            return
        self.facts[name] = StateFact(len(value), "")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in islice(list(items), MAX_WIDTH):
            setter = partial(value.__setitem__, key) if hasattr(value, "__setitem__") else None
            self.visit(f"{name}[{key!r}]" if isinstance(key, PLAIN_TYPES) else name, item, depth, setter)

    def _visit_flat(self, name: str, flat: Leaf | Parts, depth: int) -> None:
        if isinstance(flat, Leaf):
            if flat.nbytes <= MAX_NBYTES:
                self.facts[name] = StateFact(None, digest(flat.kind, flat.read_chunks()))
        else:
            for suffix, part in islice(flat.items, MAX_WIDTH):
                self.visit(name + suffix, part, depth)


def _format_iterator_position(iterator: Any) -> str:
    """The position of an iterator, without moving it."""
    hint = getattr(iterator, "__length_hint__", None)
    return repr(iterator) if hint is None else str(hint())


def _capture_files() -> Iterator[tuple[str, StateFact]]:
    """Files in the working directory, which one run may write and the next one read."""
    with suppress(OSError), os.scandir() as entries:
        for entry in islice(entries, 1000):
            if entry.is_file() and not entry.name.startswith("."):
                stat = entry.stat()
                yield f"file {entry.name}", StateFact(None, f"{stat.st_size} {stat.st_mtime_ns}")


def is_within(part: str, whole: str) -> bool:
    """Whether the name *part* is the name *whole*, or that of a part of it."""
    return part == whole or part.startswith((f"{whole}.", f"{whole}[", f"{whole}("))
