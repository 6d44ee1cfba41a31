"""The state of a process that a run can change: globals, caches, default arguments, fixtures, files.

It is captured, to find changes, and restored by name, to find which of them makes runs differ.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.adapters import active_adapters, find_array_adapter, find_generator_adapter, flatten_known
from pytest_repro.core.diagnose import StateRoot
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.interpose.code_owner import is_user_module
from pytest_repro.values.hashing import digest

MAX_DEPTH, MAX_WIDTH, MAX_NODES, MAX_NBYTES = 5, 200, 50_000, 2**26
"""Limits of the search: depth, items per container, values in total, bytes of an array."""

PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None))

Setter = Callable[[Any], object]
_Restorer = Callable[[], object]


class StateFact(NamedTuple):
    """The state of one value: the number of its items, and a text that is equal for equal contents."""

    size: int | None
    content: str


StateFacts = Mapping[str, StateFact]


def capture_state(roots: Mapping[str, StateRoot]) -> StateFacts:
    """The state of *roots*, which belong to the test, the user's modules, libraries' switches and files."""
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
        for name, root in roots.items():
            self.visit(name, root.value, 0)

    def visit_modules(self) -> None:
        for module in list(sys.modules.values()):
            if not isinstance(module, ModuleType) or not is_user_module(module):
                continue
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
        elif isinstance(value, PurePath):  # the folders of two runs have different names
            return
        elif (flat := flatten_known(value)) is not None and not isinstance(flat, str):
            self._visit_flat(name, flat, depth)
        elif type(value).__module__ == "itertools" or hasattr(value, "__length_hint__"):
            hint = getattr(value, "__length_hint__", None)  # its position, without moving it
            self.facts[name] = StateFact(None, repr(value) if hint is None else str(hint()))
        elif not callable(value) or hasattr(value, "__dict__"):
            self._visit_attributes(name, value, vars(value), depth)

    def _visit_code(self, name: str, value: Any, depth: int) -> None:
        """Visits the default arguments of a function, attributes, and the methods of a class."""
        module = sys.modules.get(value.__module__)
        if module is None or not is_user_module(module):
            return
        for number, default in enumerate(getattr(value, "__defaults__", None) or ()):
            self.visit(f"{name}(default {number + 1})", default, depth)
        data = {n: v for n, v in vars(value).items() if not n.startswith("__") and not callable(v)}
        methods = {n: v for n, v in vars(value).items() if isinstance(v, FunctionType)}
        self._visit_attributes(name, value, data, depth)
        self._visit_attributes(name, value, methods if isinstance(value, type) else {}, depth)

    def _visit_attributes(self, name: str, owner: object, values: Mapping[str, object], depth: int) -> None:
        for attribute, value in islice(list(values.items()), MAX_WIDTH):
            self.visit(f"{name}.{attribute}", value, depth, partial(setattr, owner, attribute))

    def _visit_container(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, (set, frozenset)):  # has no keys to visit its members by
            self.facts[name] = StateFact(len(value), format_plain_members(value))
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


def format_plain_members(members: Iterable[object]) -> str:
    """The sorted numbers and texts of a set."""
    return " ".join(sorted(repr(member) for member in members if isinstance(member, PLAIN_TYPES)))


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


class StateRestorer(StateVisitor):
    """Keeps the state of the values of some names when it visits them, and restores it later.

    Args:
        names: As in changes, ``"test_it.MODEL.bn"``; stands for all parts of that object.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names
        self._restorers: dict[str, _Restorer] = {}
        self._failed_names: set[str] = set()
        self._generator_names: set[str] = set()

    def on_value(self, name: str, value: Any, setter: Setter | None) -> None:
        target = self._match_name(name)
        known = name in self._restorers or any(is_within(name, whole) for whole in self._generator_names)
        if not target or known:
            return
        # A change may name the state of a generator, which is restored as a whole.
        is_generator = find_generator_adapter(value) is not None
        if not is_generator and not is_within(name, target):
            return
        restorer = None
        with suppress(Exception):  # a foreign object may refuse to be copied
            restorer = _make_restorer(value, setter)
        if restorer is None:
            self._failed_names.add(target)
            return
        self._restorers[name] = restorer
        if is_generator:
            self._generator_names.add(name)

    def _match_name(self, name: str) -> str:
        """The first of the names that *name* is a part of, else the first that is a part of *name*."""
        wholes = (target for target in self._names if is_within(name, target))
        parts = (target for target in self._names if is_within(target, name))
        return next(wholes, "") or next(parts, "")

    def restore(self) -> None:
        for name, restorer in self._restorers.items():
            try:
                restorer()
            except Exception:  # a foreign object may raise anything
                self._failed_names.add(self._match_name(name))

    def list_restored_names(self) -> tuple[str, ...]:
        """The names whose values were restored completely."""
        restored = set(map(self._match_name, self._restorers)) - self._failed_names
        return tuple(name for name in self._names if name in restored)


def _make_restorer(value: Any, setter: Setter | None) -> _Restorer | None:
    """Restores the content of *value*, and its place in its owner; None if neither is possible."""
    restore_content = _make_content_restorer(value)
    if restore_content is None:
        return None
    if setter is None:
        return None if isinstance(value, PLAIN_TYPES) else restore_content
    return lambda: (restore_content(), setter(value))


def _make_content_restorer(value: Any) -> _Restorer | None:
    if isinstance(value, PLAIN_TYPES):
        return lambda: None
    if (adapter := find_generator_adapter(value)) is not None:
        return partial(adapter.set_state, value, adapter.get_state(value) or "")
    if callable(getattr(value, "cache_clear", None)):
        return value.cache_clear  # type: ignore[no-any-return]
    if isinstance(value, (dict, set, list)) or hasattr(value, "popleft"):
        fill = value.update if isinstance(value, (dict, set)) else value.extend
        return partial(_refill, value, fill, _copy_value(value))
    if (adapter := find_array_adapter(value)) is not None:
        return partial(adapter.restore_array, value, adapter.copy_array(value))
    has_parts = hasattr(value, "__dict__") or isinstance(value, tuple)  # which are restored one by one
    return (lambda: None) if has_parts else None


def _refill(value: Any, fill: Callable[[Iterable[Any]], object], content: Any) -> None:
    value.clear()
    fill(content)


def _copy_value(value: Any) -> Any:
    """A deep copy of *value*, or a shallow one if its members refuse to be copied."""
    with suppress(Exception):
        return copy.deepcopy(value)
    return copy.copy(value)
