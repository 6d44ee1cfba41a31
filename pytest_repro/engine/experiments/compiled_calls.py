"""Which compiled modules the user's lines call, whose own threads and generators cannot be suspended."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import ExtensionFileLoader
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from pytest_repro.interpose.code_owner import is_user_module

_WITH_MODULE = (BuiltinFunctionType, FunctionType, type)

_OUTSIDE = {"_sqlite3", "_ssl", "sqlite3", "ssl"}
"""Modules of the standard library that draw from generators of their own."""

_SUSPENDABLE = {"numpy", "pytest_repro", "torch"}
"""Compiled packages that take entropy, clocks and threads only where suspects are suspended."""

_FOREIGN = {"_cffi_backend", "_ctypes", "ctypes"}
"""Modules whose objects are foreign functions and their data."""


class CompiledCalls:
    """Notes for each line that is visited the compiled module whose functions or objects it names.

    Attributes:
        modules: Line → module: ``"/abs/a.py:8"`` → ``"hnswlib"``; ``""`` if it only names data of ctypes.
    """

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}
        self._visited: set[tuple[CodeType, int]] = set()

    def visit_line(self, frame: FrameType) -> None:
        """Called before *frame* runs its current line."""
        key = frame.f_code, frame.f_lineno
        if key in self._visited:
            return
        self._visited.add(key)
        with suppress(Exception):  # a foreign object may raise anything when it is read
            modules = [find_compiled_module(value) for value in _list_values(frame)]
            if named := [module for module in modules if module is not None]:
                self.modules[f"{frame.f_code.co_filename}:{frame.f_lineno}"] = max(named, key=bool)


def _list_values(frame: FrameType) -> Iterator[object]:
    """What the current line of *frame* names: variables and their attributes."""
    variables, attributes = _list_names(frame.f_code).get(frame.f_lineno, ([], []))
    for name in variables:
        for scope in (frame.f_locals, frame.f_globals):
            if name in scope:
                yield scope[name]
                members = getattr(scope[name], "__dict__", {})
                yield from (members[each] for each in attributes if each in members)
                break


@lru_cache(maxsize=1024)
def _list_names(code: CodeType) -> dict[int, tuple[list[str], list[str]]]:
    """Line → the variables and the attributes that it reads."""
    lines, starts, line = dict[int, tuple[list[str], list[str]]](), dict(dis.findlinestarts(code)), 0
    for instruction in dis.get_instructions(code):
        line = starts.get(instruction.offset) or line
        name, value = instruction.opname, instruction.argval
        if not name.startswith("LOAD_") or name in ("LOAD_CONST", "LOAD_SMALL_INT"):
            continue
        names = [each for each in (value if isinstance(value, tuple) else [value]) if isinstance(each, str)]
        lines.setdefault(line, ([], []))["ATTR" in name or "METHOD" in name].extend(names)
    return lines


def find_compiled_module(value: object) -> str | None:
    """The compiled module that *value* is, or of which it is a function or an object; None if none.

    ``""`` for data of ctypes and cffi, which do not say which library wrote them.
    """
    if value is getattr(sys.modules.get("numpy"), "datetime64", 0):
        return "numpy.datetime64"  # "now" and "today" read the clock
    if isinstance(value, ModuleType):
        module: object = value.__name__
    else:
        module = (value if isinstance(value, _WITH_MODULE) else type(value)).__module__
    if not isinstance(module, str):
        return None
    if any(each.__module__ in _FOREIGN for each in type(value).__mro__):
        return _name_library(value)
    package = module.partition(".")[0]
    if package in _OUTSIDE:
        return package.removeprefix("_")
    return package if _is_compiled(module) else None


def _name_library(value: Any) -> str:
    """``"libfaiss.so"`` for a library that ctypes has loaded, ``"ctypes"`` for a function of one."""
    if not callable(value) and not type(value).__name__.endswith(("DLL", "Lib")):
        return ""
    path = getattr(value, "_name", None)
    return path.rpartition("/")[2] if isinstance(path, str) and path else "ctypes"


@lru_cache(maxsize=1024)
def _is_compiled(module: str) -> bool:
    """Whether *module*, or a module that its package has imported, is compiled and may act on its own."""
    package = module.partition(".")[0]
    if package in _SUSPENDABLE or package in sys.stdlib_module_names:
        return False
    top = sys.modules.get(package)
    if top is not None and is_user_module(top):  # its lines are traced
        return _is_extension(sys.modules.get(module))
    prefix = f"{package}."
    found = (each for name, each in sys.modules.copy().items() if name == package or name.startswith(prefix))
    return any(map(_is_extension, found))


def _is_extension(module: ModuleType | None) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader)
