"""Reads functions and classes that estimators hold: by name, or by their code if they have none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from pytest_repro.core.runs.observation import Leaf, Parts, make_leaf

_NAMED: Any = (type, BuiltinFunctionType, BuiltinMethodType, np.ufunc, type(np.mean))


def flatten_callable(value: Any) -> Leaf | Parts | None:
    """A function or class by its qualified name; None for other values.

    A lambda or a nested function is read by its code, its defaults and the variables that it uses.
    """
    if isinstance(value, partial):
        named = [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
        return Parts("partial", named)
    if isinstance(value, MethodType):
        return Parts("method", [(".__func__", value.__func__), (".__self__", value.__self__)])
    if isinstance(value, FunctionType):
        return _flatten_function(value)
    if isinstance(value, _NAMED) and not getattr(value, "__self__", None):
        return make_leaf("class" if isinstance(value, type) else "function", _format_name(value))
    if isinstance(value, _NAMED):
        return make_leaf("function", f"{_format_name(value.__self__)}.{value.__name__}")
    return None


def _format_name(value: Any) -> str:
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", type(value).__qualname__)
    return f"{module}.{name}" if module else str(name)


def _flatten_function(function: FunctionType) -> Leaf | Parts:
    name = make_leaf("function", _format_name(function))
    if "<" not in function.__qualname__:
        return name
    return Parts("function", _iter_function(function, name))


def _iter_function(function: FunctionType, name: Leaf) -> Iterator[tuple[str, object]]:
    yield "", name
    yield ".__code__", make_leaf("code", "\n".join(_describe_code(function.__code__)))
    yield ".__defaults__", function.__defaults__
    yield ".__kwdefaults__", function.__kwdefaults__
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        yield f".{variable}", cell.cell_contents


def _describe_code(code: CodeType) -> Iterable[str]:
    """Instructions, names and constants, without file and lines."""
    yield code.co_code.hex()
    yield " ".join((*code.co_names, "|", *code.co_varnames, "|", *code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _describe_code(constant)
        else:
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
