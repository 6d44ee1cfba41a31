"""What a run leaves behind: globals, caches, default arguments, fixtures, switches, files."""

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
from pytest_repro.core.diagnose.finding import StateRoot
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.interpose.user_frames import is_user_module
from pytest_repro.values.hashing import digest

MAX_DEPTH, MAX_WIDTH, MAX_NODES, MAX_NBYTES = 5, 200, 50_000, 2**26
"""How deep and how wide is looked, how many values, and bytes of an array: what is more is passed over."""

_PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None))


Setter = Callable[[Any], object]


class StateFact(NamedTuple):
    """What is known of one value.

    Attributes:
        size: Number of its items, where it has any.
        content: Equal for equal contents.
    """

    size: int | None
    content: str


StateFacts = Mapping[str, StateFact]


def capture_state(roots: Mapping[str, StateRoot]) -> StateFacts:
    """What *roots* hold, and whatever else a run could leave behind, by name.

    Args:
        roots: What belongs to the test, by name: ``"fixture model"``.
    """
    walk = StateVisitor()
    for name, root in roots.items():
        walk.visit(name, root.value, 0)
    walk.visit_modules()
    for adapter in active_adapters().values():
        walk.facts.update((name, StateFact(None, value)) for name, value in adapter.switches().items())
    walk.facts.update(_capture_files())
    return walk.facts


class StateVisitor:
    """Goes through values, each once."""

    def __init__(self) -> None:
        self.facts: dict[str, StateFact] = {}
        self._visited_ids: set[int] = set()

    def on_value(self, name: str, value: object, setter: Setter | None) -> None:
        """Called with each value once for each name; *setter* puts another in its place, if that can be done."""

    def visit_modules(self) -> None:
        """Goes through the globals of the user's modules."""
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and is_user_module(module):
                self.visit_module(module)

    def visit_module(self, module: ModuleType) -> None:
        for name, value in list(vars(module).items()):
            if not name.startswith(("__", "@")) and getattr(value, "__module__", "") != "pytest_repro":
                self.visit(f"{module.__name__}.{name}", value, 0, partial(setattr, module, name))

    def visit(self, name: str, value: object, depth: int, setter: Setter | None = None) -> None:
        self.on_value(name, value, setter)
        if isinstance(value, _PLAIN_TYPES):
            self.facts[name] = StateFact(None, repr(value))
        elif not isinstance(value, (ModuleType, BuiltinFunctionType)) and self._mark_new(value, depth):
            with suppress(Exception):  # somebody else's object may do anything when it is asked
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
        elif (opened := flatten_known(value)) is not None and not isinstance(opened, str):
            self._visit_flat(name, opened, depth)
        elif type(value).__module__ == "itertools" or hasattr(value, "__length_hint__"):
            self.facts[name] = StateFact(None, _get_iterator_position(value))
        elif not callable(value) or hasattr(value, "__dict__"):
            self._visit_attributes(name, value, vars(value), depth)

    def _visit_code(self, name: str, value: Any, depth: int) -> None:
        """Data that hangs on functions and classes: default arguments, attributes."""
        home = sys.modules.get(value.__module__)
        if home is None or not is_user_module(home):
            return
        for number, each in enumerate(getattr(value, "__defaults__", None) or ()):
            self.visit(f"{name}(default {number + 1})", each, depth)
        data = {n: v for n, v in vars(value).items() if not n.startswith("__") and not callable(v)}
        self._visit_attributes(name, value, data, depth)
        if isinstance(value, type):
            methods = {n: v for n, v in vars(value).items() if isinstance(v, FunctionType)}
            self._visit_attributes(name, value, methods, depth)

    def _visit_attributes(self, name: str, owner: object, parts: Mapping[str, object], depth: int) -> None:
        for each, value in islice(list(parts.items()), MAX_WIDTH):
            self.visit(f"{name}.{each}", value, depth, partial(setattr, owner, each))

    def _visit_container(self, name: str, value: Any, depth: int) -> None:
        self.facts[name] = StateFact(len(value), _format_set_members(value))
        items = value.items() if isinstance(value, dict) else enumerate(value)
        if not isinstance(value, (set, frozenset)):
            for key, each in islice(list(items), MAX_WIDTH):
                put = partial(value.__setitem__, key) if hasattr(value, "__setitem__") else None
                self.visit(f"{name}[{key!r}]" if isinstance(key, _PLAIN_TYPES) else name, each, depth, put)

    def _visit_flat(self, name: str, flat: Leaf | Parts, depth: int) -> None:
        if isinstance(flat, Leaf):
            if flat.nbytes <= MAX_NBYTES:
                self.facts[name] = StateFact(None, digest(flat.kind, flat.read_chunks()))
        else:
            for suffix, part in islice(flat.items, MAX_WIDTH):
                self.visit(name + suffix, part, depth)


def _get_iterator_position(iterator: Any) -> str:
    """Where an iterator stands, without moving it."""
    hint = getattr(iterator, "__length_hint__", None)
    return repr(iterator) if hint is None else str(hint())


def _format_set_members(value: Any) -> str:
    """Plain members of a set, which has no places to look at them by."""
    if not isinstance(value, (set, frozenset)):
        return ""
    return " ".join(sorted(repr(each) for each in value if isinstance(each, _PLAIN_TYPES)))


def _capture_files() -> Iterator[tuple[str, StateFact]]:
    """Files where the test was started: a run may write what the next one reads."""
    with suppress(OSError), os.scandir() as entries:
        for entry in islice(entries, 1000):
            if entry.is_file() and not entry.name.startswith("."):
                found = entry.stat()
                yield f"file {entry.name}", StateFact(None, f"{found.st_size} {found.st_mtime_ns}")


"""Called when the body of a run is about to begin."""
