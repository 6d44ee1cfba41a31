"""Where user code keeps an object: module globals, and places in functions and classes.

A default argument, a variable that a function closes over (the ``default_factory`` of a dataclass is one), an
attribute of a class or an object, an entry of a dict: ``def stamp(clock=time.time)`` keeps the function that
it was defined with.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

FindReplacement = Callable[[Any], Any]
"""The replacement of an object, or the object itself."""
_MAX_DEPTH, _MAX_ITEMS = 4, 100


class Places:
    """The functions and classes of *modules* that may keep an object, found once."""

    def __init__(self, modules: Sequence[ModuleType]) -> None:
        # No reference to what a module holds: user code may replace it, and expect that it is gone.
        self._seen: dict[int, Any] = {}
        self._functions: list[weakref.ref[Any]] = []
        self._attributes: list[tuple[weakref.ref[Any], str]] = []  # of classes
        self._globals: list[tuple[ModuleType, str]] = []
        self._module_names = {module.__name__ for module in modules}
        for module in modules:
            for name, value in list(vars(module).items()):
                if name.startswith("__"):
                    continue
                if not _has_type(value, FunctionType, type):
                    if type(value) is dict or type(value).__module__ in self._module_names:
                        self._globals.append((module, name))
                elif value.__module__ == module.__name__:
                    self._add(value, 0)
        self._seen.clear()

    def _iter_mappings(self) -> Iterator[dict[Any, Any]]:
        for module, name in self._globals:
            value = vars(module).get(name)
            if type(value) is dict:
                yield value
            elif type(value).__module__ in self._module_names:
                with suppress(Exception):  # it has none, or refuses it
                    yield object.__getattribute__(value, "__dict__")

    def _add(self, value: Any, depth: int) -> None:
        if _has_type(value, staticmethod, classmethod):
            value = value.__func__
        if depth > _MAX_DEPTH or not _has_type(value, FunctionType, type) or _real_id(value) in self._seen:
            return
        self._seen[_real_id(value)] = value
        if _has_type(value, type):
            own = vars(value).copy()
            self._attributes += [
                (weakref.ref(value), name) for name in own if _is_foreign(own[name], value.__module__)
            ]
            inner: Sequence[Any] = list(own.values())
        else:
            inner = [cell.cell_contents for cell in _list_cells(value)]
            kept = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *inner]
            if any(_is_foreign(each, value.__module__) for each in kept):
                self._functions.append(weakref.ref(value))
        for each in inner:
            self._add(each, depth + 1)

    def replace(self, find: FindReplacement) -> Iterator[Callable[[], object]]:
        """Puts replacements in place; yields what undoes each, unless something else is there by then."""
        for function in filter(None, [each() for each in self._functions]):
            yield from _replace_in_function(function, find)
        for mapping in list(self._iter_mappings()):
            if len(mapping) <= _MAX_ITEMS:
                yield from _replace_items(mapping, find)
        for reference, name in self._attributes:
            if (kind := reference()) is None:
                continue
            value = vars(kind).get(name)
            inner = value.__func__ if _has_type(value, staticmethod) else value
            if (new := find(inner)) is not inner:
                made = new if _has_type(new, type) or _has_type(value, FunctionType) else staticmethod(new)
                with suppress(Exception):  # a class may refuse it
                    setattr(kind, name, made)
                yield partial(_restore_attribute, kind, name, made, value)


def _is_foreign(value: Any, module: str) -> bool:
    """Whether *value* is a function or a class of another module: only such are ever replaced."""
    value = value.__func__ if _has_type(value, staticmethod) else value
    if _has_type(value, FunctionType, type):
        return bool(value.__module__ != module)
    return _has_type(value, BuiltinMethodType, MethodType)


def _has_type(value: Any, *kinds: type) -> bool:
    """As ``isinstance()``, which asks a lazy object for its ``__class__`` and so makes it."""
    return issubclass(type(value), kinds)


def _replace_in_function(function: Any, find: FindReplacement) -> Iterator[Callable[[], object]]:
    defaults = function.__defaults__
    new_defaults = tuple(map(find, defaults or ()))
    if any(new is not value for new, value in zip(new_defaults, defaults or ())):
        function.__defaults__ = new_defaults
        yield partial(_restore_defaults, function, new_defaults, defaults)
    yield from _replace_items(function.__kwdefaults__ or {}, find)
    for cell in _list_cells(function):
        value = cell.cell_contents
        if (new := find(value)) is not value:
            cell.cell_contents = new
            yield partial(_restore_cell, cell, new, value)


def _replace_items(mapping: dict[Any, Any], find: FindReplacement) -> Iterator[Callable[[], object]]:
    for key, value in list(mapping.items()):
        if (new := find(value)) is not value:
            mapping[key] = new
            yield partial(_restore_item, mapping, key, new, value)


def _list_cells(function: Any) -> list[Any]:
    """Those that have a value."""
    return [cell for cell in function.__closure__ or () if cell != type(cell)()]


def _restore_attribute(owner: Any, name: str, new: Any, value: Any) -> None:
    if vars(owner).get(name) is new:
        setattr(owner, name, value)


def _restore_defaults(function: Any, new: Any, value: Any) -> None:
    if function.__defaults__ is new:
        function.__defaults__ = value


def _restore_item(items: dict[Any, Any], name: Any, new: Any, value: Any) -> None:
    if items.get(name) is new:
        items[name] = value


def _restore_cell(cell: Any, new: Any, value: Any) -> None:
    with suppress(ValueError):  # user code has deleted the variable
        if cell.cell_contents is new:
            cell.cell_contents = value


def find_bindings(module: ModuleType, replacements: Mapping[int, tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """Globals of *module* that hold one of the objects in *replacements*, and their new values.

    The module's ``__dict__`` is read directly, so that a lazy module does not load. *replacements* has for
    the id of an object the object, and its replacement.
    """
    found = ((name, value, find_replacement(replacements, value)) for name, value in [*vars(module).items()])
    return [(name, new) for name, value, new in found if new is not value]


def find_replacement(replacements: Mapping[int, tuple[Any, Any]], value: Any) -> Any:
    """What replaces *value*, or *value* itself."""
    if (entry := replacements.get(_real_id(value))) is not None:
        return entry[1]
    if _has_type(value, BuiltinMethodType, MethodType) and _has_type(value.__self__, type):
        kind = find_replacement(replacements, value.__self__)  # datetime.now, kept bound to datetime
        return value if kind is value.__self__ else getattr(kind, value.__name__, value)
    return value


_real_id = id  # kept before a block replaces it
