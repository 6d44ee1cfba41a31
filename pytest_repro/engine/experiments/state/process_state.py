"""The state of a process that a run can change: globals, caches, default arguments, fixtures, settings.

It is captured, to find changes; ``state_restore`` restores it by name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from itertools import islice
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.adapters import active_adapters, find_array_adapter, find_kind_name, flatten_known
from pytest_repro.core.diagnose import StateRoot
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.engine.experiments.state.iterators import (
    PLAIN_TYPES,
    Setter,
    describe_position,
    is_iterator,
)
from pytest_repro.interpose.code_owner import is_user_module
from pytest_repro.values.hashing import digest

MAX_DEPTH, MAX_WIDTH, MAX_NODES, MAX_NBYTES = 5, 200, 50_000, 2**26
"""Limits of the search: depth, items per container, values in total, bytes of an array."""

_WITHOUT_STATE = ModuleType, BuiltinFunctionType

MODULE_PARTS = ("_parameters", "_buffers", "_modules")
"""Attributes of a ``torch.nn.Module`` whose items users know as its own attributes."""


class StateFact(NamedTuple):
    """The state of one value: the number of its items, and a text that is equal for equal contents.

    *owner* names the module, optimiser or generator that the value is a part of, and *kind* is which.
    """

    size: int | None
    content: str
    kind: str = ""
    owner: str = ""


StateFacts = Mapping[str, StateFact]


def capture_state(roots: Mapping[str, StateRoot]) -> StateFacts:
    """The state of *roots*, which belong to the test, of the user's modules and of libraries' switches."""
    visitor = StateVisitor()
    visitor.visit_roots(roots)
    visitor.visit_modules()
    return {**visitor.facts, **capture_switches()}


def capture_switches() -> StateFacts:
    """The process-wide settings of all libraries, environment variables and the working folder."""
    adapters = active_adapters().values()
    return {name: StateFact(None, text) for each in adapters for name, text in each.switches().items()}


class StateVisitor:
    """Visits values and their parts, each once."""

    def __init__(self) -> None:
        self.facts: dict[str, StateFact] = {}
        self._visited: dict[int, object] = {}  # by id; keeps temporary values alive, whose ids would recur
        self._kind, self._owner = "", ""

    def on_value(self, name: str, value: object, setter: Setter | None) -> None:
        """Called once for each value and name; *setter* replaces the value, if that is possible."""

    def visit_roots(self, roots: Mapping[str, StateRoot]) -> None:
        for name, root in roots.items():
            self.visit(name, root.value, 0)

    def visit_modules(self) -> None:
        for module in list(sys.modules.values()):
            if not isinstance(module, ModuleType) or not is_user_module(module):
                continue
            self.on_value(module.__name__, module, None)
            for name, value in list(vars(module).items()):
                if is_state_name(name) and getattr(value, "__module__", "") != "pytest_repro":
                    self.visit(f"{module.__name__}.{name}", value, 0, partial(setattr, module, name))

    def visit(self, name: str, value: object, depth: int, setter: Setter | None = None) -> None:
        """Visits *value* and its parts, whose names start with *name*."""
        self.on_value(name, value, setter)
        if isinstance(value, PLAIN_TYPES):
            self._add_fact(name, None, repr(value))
        elif not (isinstance(value, _WITHOUT_STATE) or _is_runners(value)) and self._mark_new(value, depth):
            before = self._kind, self._owner
            with suppress(Exception):  # a foreign object may raise anything when it is read
                if not self._kind and (kind := find_kind_name(value)):
                    self._kind, self._owner = kind, name
                self._visit_content(name, value, depth + 1)
            self._kind, self._owner = before

    def _add_fact(self, name: str, size: int | None, content: str) -> None:
        self.facts[name] = StateFact(size, content, self._kind, self._owner)

    def _mark_new(self, value: object, depth: int) -> bool:
        new = id(value) not in self._visited and depth < MAX_DEPTH and len(self._visited) < MAX_NODES
        self._visited[id(value)] = value
        return new

    def _visit_content(self, name: str, value: Any, depth: int) -> None:
        is_own = str(getattr(value, "__module__", "")).startswith("pytest_repro.")
        if has_member(value, "cache_info") and not is_own:
            self._add_fact(name, value.cache_info().currsize, "cache")
        if isinstance(value, (FunctionType, type)):
            self._visit_code(name, value, depth)
        elif isinstance(value, (dict, list, tuple, set, frozenset)) or has_member(value, "popleft"):
            self._visit_container(name, value, depth)
        elif isinstance(value, PurePath):  # the folders of two runs have different names
            return
        elif (flat := flatten_known(value)) is not None and not isinstance(flat, str):
            self._visit_flat(name, value, flat, depth)
        elif isinstance(value, ContextVar):
            self.visit(name, value.get(), depth)  # raises if it has no value
        elif is_iterator(value):
            self._add_fact(name, None, describe_position(value))
        else:
            self._visit_attributes(name, value, read_attributes(value), depth)

    def _visit_code(self, name: str, value: Any, depth: int) -> None:
        """Visits default arguments and variables of a function, attributes, and the methods of a class."""
        module = sys.modules.get(value.__module__)
        if module is None or not is_user_module(module):
            return
        for number, default in enumerate(getattr(value, "__defaults__", None) or ()):
            self.visit(f"{name}(default {number + 1})", default, depth)
        for variable, cell in iter_cells(value):
            self.visit(f"{name}(variable {variable})", cell.cell_contents, depth, partial(fill_cell, cell))
        data = {n: v for n, v in vars(value).items() if not n.startswith("__") and not callable(v)}
        methods = {n: v for n, v in vars(value).items() if isinstance(v, FunctionType)}
        self._visit_attributes(name, value, data, depth)
        self._visit_attributes(name, value, methods if isinstance(value, type) else {}, depth)

    def _visit_attributes(self, name: str, owner: object, values: Mapping[str, object], depth: int) -> None:
        for attribute, value in islice(list(values.items()), MAX_WIDTH):
            self.visit(f"{name}.{attribute}", value, depth, partial(setattr, owner, attribute))

    def _visit_container(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, (set, frozenset)):  # has no keys to visit its members by
            self._add_fact(name, len(value), format_plain_members(value))
            return
        self._add_fact(name, len(value), "")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in islice(list(items), MAX_WIDTH):
            if self._kind == "optimiser" and key == "params":  # which are the model's
                continue
            setter = partial(value.__setitem__, key) if hasattr(value, "__setitem__") else None
            self.visit(f"{name}[{key!r}]" if isinstance(key, PLAIN_TYPES) else name, item, depth, setter)

    def _visit_flat(self, name: str, value: Any, flat: Leaf | Parts, depth: int) -> None:
        if isinstance(flat, Leaf):
            if flat.nbytes <= MAX_NBYTES:
                self._add_fact(name, None, digest(flat.kind, flat.read_chunks()))
            if has_gradient(value):
                self.visit(f"{name}.grad", value.grad, depth)
            return
        for suffix, part in islice(flat.items, MAX_WIDTH):
            self.visit(name + suffix, part, depth)
        if self._kind and hasattr(value, "__dict__"):  # hooks, submodules, and an optimiser's own state
            others = {key: part for key, part in vars(value).items() if key not in MODULE_PARTS}
            self._visit_attributes(name, value, {**vars(value).get("_modules", {}), **others}, depth)


def _is_runners(value: object) -> bool:
    """Whether *value* is an object of pytest, such as ``tmp_path_factory``: its state is no user's."""
    return type(value).__module__.partition(".")[0] == "_pytest"


def has_member(value: object, name: str) -> bool:
    """Whether *value* or its class has that attribute; ``nnx.Rngs`` makes what ``hasattr()`` asks for."""
    return hasattr(type(value), name) or name in getattr(value, "__dict__", ())


def read_attributes(value: object) -> Mapping[str, object]:
    """The attributes of an instance or a class, in its ``__dict__`` or in slots."""
    slots = [
        s
        for kind in type(value).__mro__
        for s in (lambda n: [n] if isinstance(n, str) else n)(vars(kind).get("__slots__", ()))
    ]
    found = {name: getattr(value, name) for name in slots if name != "__dict__" and hasattr(value, name)}
    return {**found, **getattr(value, "__dict__", {})}


def is_state_name(name: str) -> bool:
    """Whether a global of that name is the user's, not Python's or pytest's."""
    return not name.startswith(("__", "@"))


def iter_cells(function: Any) -> list[tuple[str, Any]]:
    """The variables that *function* closes over, with their cells; without those that have no value yet."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = zip(names, getattr(function, "__closure__", None) or ())
    return [(name, cell) for name, cell in cells if cell != type(cell)()]


def fill_cell(cell: Any, value: object) -> None:
    """Sets the variable of a closure."""
    cell.cell_contents = value


def has_gradient(value: Any) -> bool:
    """Whether *value* is a tensor that gradients are added to."""
    wanted = find_array_adapter(value) is not None and getattr(value, "requires_grad", False)
    return bool(wanted and value.is_leaf)


def format_plain_members(members: Iterable[object]) -> str:
    """The sorted numbers and texts of a set."""
    return " ".join(sorted(repr(member) for member in members if isinstance(member, PLAIN_TYPES)))


def is_within(part: str, whole: str) -> bool:
    """Whether the name *part* is the name *whole*, or that of a part of it."""
    return part == whole or part.startswith((f"{whole}.", f"{whole}[", f"{whole}("))
