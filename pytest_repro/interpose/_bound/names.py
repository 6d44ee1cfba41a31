"""Where user code keeps an object: module globals, and places in functions and classes.

A default argument, a variable that a function closes over (the ``default_factory`` of a dataclass is one), an
attribute of a class or an object, an entry of a dict: ``def stamp(clock=time.time)`` keeps the function that
it was defined with.
"""

from __future__ import annotations

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
        self._seen: dict[int, Any] = {}
        self._functions: list[Any] = []
        self._attributes: list[tuple[Any, str]] = []  # of classes
        self._mappings: list[dict[Any, Any]] = []
        names = {module.__name__ for module in modules}
        for module in modules:
            for name, value in list(vars(module).items()):
                if name.startswith("__"):
                    continue
                if type(value) is dict:
                    self._mappings.append(value)
                elif type(value).__module__ in names and isinstance(getattr(value, "__dict__", None), dict):
                    self._mappings.append(value.__dict__)
                elif getattr(value, "__module__", None) == module.__name__:
                    self._add(value, 0)
        self._seen.clear()

    def _add(self, value: Any, depth: int) -> None:
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if depth > _MAX_DEPTH or not isinstance(value, (FunctionType, type)) or _real_id(value) in self._seen:
            return
        self._seen[_real_id(value)] = value
        if isinstance(value, type):
            own = vars(value).copy()
            self._attributes += [(value, name) for name in own if _is_foreign(own[name], value.__module__)]
            inner: Sequence[Any] = list(own.values())
        else:
            inner = [cell.cell_contents for cell in _list_cells(value)]
            kept = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *inner]
            if any(_is_foreign(each, value.__module__) for each in kept):
                self._functions.append(value)
        for each in inner:
            self._add(each, depth + 1)

    def replace(self, find: FindReplacement) -> Iterator[Callable[[], object]]:
        """Puts replacements in place; yields what undoes each, unless something else is there by then."""
        for function in self._functions:
            yield from _replace_in_function(function, find)
        for mapping in self._mappings:
            if len(mapping) <= _MAX_ITEMS:
                yield from _replace_items(mapping, find)
        for kind, name in self._attributes:
            value = vars(kind).get(name)
            inner = value.__func__ if isinstance(value, staticmethod) else value
            if (new := find(inner)) is not inner:
                made = new if isinstance(new, type) else staticmethod(new)
                with suppress(Exception):  # a class may refuse it
                    setattr(kind, name, made)
                yield partial(_restore_attribute, kind, name, made, value)


def _is_foreign(value: Any, module: str) -> bool:
    """Whether *value* is a function or a class of another module: only such are ever replaced."""
    value = value.__func__ if isinstance(value, staticmethod) else value
    if isinstance(value, (FunctionType, type)):
        return bool(value.__module__ != module)
    return isinstance(value, (BuiltinMethodType, MethodType))


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
    if isinstance(value, (BuiltinMethodType, MethodType)) and isinstance(value.__self__, type):
        kind = find_replacement(replacements, value.__self__)  # datetime.now, kept bound to datetime
        return value if kind is value.__self__ else getattr(kind, value.__name__, value)
    return value


_real_id = id  # kept before a block replaces it
