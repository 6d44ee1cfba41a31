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

from pytest_repro.adapters import awake, known
from pytest_repro.core.diagnose.finding import Root
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.interpose.user_frames import is_users
from pytest_repro.values.hashing import digest

DEPTH, WIDTH, NODES, NBYTES = 5, 200, 50_000, 2**26
"""How deep and how wide is looked, how many values, and bytes of an array: what is more is passed over."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


Put = Callable[[Any], object]


class Fact(NamedTuple):
    """What is known of one value.

    Attributes:
        size: Number of its items, where it has any.
        content: Equal for equal contents.
    """

    size: int | None
    content: str


Facts = Mapping[str, Fact]


def facts(roots: Mapping[str, Root]) -> Facts:
    """What *roots* hold, and whatever else a run could leave behind, by name.

    Args:
        roots: What belongs to the test, by name: ``"fixture model"``.
    """
    walk = Walk()
    for name, root in roots.items():
        walk.value(name, root.value, 0)
    walk.modules()
    for adapter in awake().values():
        walk.found.update((name, Fact(None, value)) for name, value in adapter.switches().items())
    walk.found.update(_files())
    return walk.found


class Walk:
    """Goes through values, each once."""

    def __init__(self) -> None:
        self.found: dict[str, Fact] = {}
        self._seen: set[int] = set()

    def met(self, name: str, value: object, put: Put | None) -> None:
        """Called with each value once for each name; *put* puts another in its place, if that can be done."""

    def modules(self) -> None:
        """Goes through the globals of the user's modules."""
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and is_users(module):
                self.module(module)

    def module(self, module: ModuleType) -> None:
        for name, value in list(vars(module).items()):
            if not name.startswith(("__", "@")) and getattr(value, "__module__", "") != "pytest_repro":
                self.value(f"{module.__name__}.{name}", value, 0, partial(setattr, module, name))

    def value(self, name: str, value: object, depth: int, put: Put | None = None) -> None:
        self.met(name, value, put)
        if isinstance(value, _PLAIN):
            self.found[name] = Fact(None, repr(value))
        elif not isinstance(value, (ModuleType, BuiltinFunctionType)) and self._new(value, depth):
            with suppress(Exception):  # somebody else's object may do anything when it is asked
                self._open(name, value, depth + 1)

    def _new(self, value: object, depth: int) -> bool:
        new = id(value) not in self._seen and depth < DEPTH and len(self._seen) < NODES
        self._seen.add(id(value))
        return new

    def _open(self, name: str, value: Any, depth: int) -> None:
        if callable(getattr(value, "cache_info", None)):
            self.found[name] = Fact(value.cache_info().currsize, "cache")
        if isinstance(value, (FunctionType, type)):
            self._code(name, value, depth)
        elif isinstance(value, (dict, list, tuple, set, frozenset)) or hasattr(value, "popleft"):
            self._container(name, value, depth)
        elif (opened := known(value)) is not None and not isinstance(opened, str):
            self._opened(name, opened, depth)
        elif type(value).__module__ == "itertools" or hasattr(value, "__length_hint__"):
            self.found[name] = Fact(None, _position(value))
        elif not callable(value) or hasattr(value, "__dict__"):
            self._parts(name, value, vars(value), depth)

    def _code(self, name: str, value: Any, depth: int) -> None:
        """Data that hangs on functions and classes: default arguments, attributes."""
        home = sys.modules.get(value.__module__)
        if home is None or not is_users(home):
            return
        for number, each in enumerate(getattr(value, "__defaults__", None) or ()):
            self.value(f"{name}(default {number + 1})", each, depth)
        data = {n: v for n, v in vars(value).items() if not n.startswith("__") and not callable(v)}
        self._parts(name, value, data, depth)
        if isinstance(value, type):
            methods = {n: v for n, v in vars(value).items() if isinstance(v, FunctionType)}
            self._parts(name, value, methods, depth)

    def _parts(self, name: str, whole: object, parts: Mapping[str, object], depth: int) -> None:
        for each, value in islice(list(parts.items()), WIDTH):
            self.value(f"{name}.{each}", value, depth, partial(setattr, whole, each))

    def _container(self, name: str, value: Any, depth: int) -> None:
        self.found[name] = Fact(len(value), _members(value))
        items = value.items() if isinstance(value, dict) else enumerate(value)
        if not isinstance(value, (set, frozenset)):
            for key, each in islice(list(items), WIDTH):
                put = partial(value.__setitem__, key) if hasattr(value, "__setitem__") else None
                self.value(f"{name}[{key!r}]" if isinstance(key, _PLAIN) else name, each, depth, put)

    def _opened(self, name: str, opened: Leaf | Parts, depth: int) -> None:
        if isinstance(opened, Leaf):
            if opened.nbytes <= NBYTES:
                self.found[name] = Fact(None, digest(opened.kind, opened.pieces()))
        else:
            for suffix, part in islice(opened.items, WIDTH):
                self.value(name + suffix, part, depth)


def _position(iterator: Any) -> str:
    """Where an iterator stands, without moving it."""
    hint = getattr(iterator, "__length_hint__", None)
    return repr(iterator) if hint is None else str(hint())


def _members(value: Any) -> str:
    """Plain members of a set, which has no places to look at them by."""
    if not isinstance(value, (set, frozenset)):
        return ""
    return " ".join(sorted(repr(each) for each in value if isinstance(each, _PLAIN)))


def _files() -> Iterator[tuple[str, Fact]]:
    """Files where the test was started: a run may write what the next one reads."""
    with suppress(OSError), os.scandir() as entries:
        for entry in islice(entries, 1000):
            if entry.is_file() and not entry.name.startswith("."):
                found = entry.stat()
                yield f"file {entry.name}", Fact(None, f"{found.st_size} {found.st_mtime_ns}")


Entered = Callable[[], None]
"""Called when the body of a run is about to begin."""
