"""Which local variables of a function hold only what its source writes out, and nothing that it computed."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from functools import lru_cache
from io import open_code  # bound early: a test may have replaced open()
from types import CodeType
from typing import Any

_MUTATORS = ("add", "append", "appendleft", "extend", "insert", "setdefault", "update")


@lru_cache(maxsize=1)
def _parse_functions(file: str) -> dict[int, ast.AST]:
    """The functions in *file* by their first line; {} if it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of "\\d": pytest has shown it
        try:
            with open_code(file) as source:
                tree = ast.parse(source.read())
        except Exception:  # a file of a zip archive, of a file system that a test imitates
            return {}
    functions = (each for each in ast.walk(tree) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {min(each.lineno for each in (node, *node.decorator_list)): node for node in functions}


@lru_cache(maxsize=128)
def find_inputs(code: CodeType) -> frozenset[str]:
    """Names of the local variables of *code* that hold nothing it computed.

    These are its arguments, its loop variables, and what it writes out: ``lr = 0.1``, ``steps = 2 * epochs``.
    """
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 4) + bool(code.co_flags & 8)  # *args, **kwargs
    arguments = set(code.co_varnames[:count])
    function = _parse_functions(code.co_filename).get(code.co_firstlineno)
    if function is None:
        return frozenset(arguments)
    assigned: list[tuple[str, ast.AST | None]] = []
    looped: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, (ast.For, ast.AsyncFor)):
            looped |= {name for name, _ in _iter_names(node.target)}
        else:
            assigned += (each for found in _iter_assignments(node) for each in _iter_names(*found))
    literal, before = {name for name, _ in assigned}, -1
    while len(literal) != before:
        before = len(literal)
        constants = literal - looped - arguments
        literal -= {name for name, value in assigned if not _is_literal(value, constants)}
    computed = {name for name, _ in assigned} - literal
    return frozenset((looped | literal) - computed | arguments)


def _iter_assignments(node: Any) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """Targets of *node* with what they get; None if that is no expression."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.optional_vars, None
    elif getattr(node, "attr", "") in _MUTATORS or (
        isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    ):
        yield node.value, None


def _iter_names(target: Any, value: ast.AST | None = None) -> Iterator[tuple[str, ast.AST | None]]:
    """The variables that *target* binds or changes, with what they get of *value*."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        values: list[Any] = getattr(value, "elts", [])
        parts = values if len(values) == len(target.elts) else [value] * len(target.elts)
        for each, part in zip(target.elts, parts):
            yield from _iter_names(each, part)
    elif isinstance(target, (ast.Starred, ast.Subscript, ast.Attribute)):
        yield from _iter_names(target.value, value)


_LITERALS = (ast.Constant, ast.UnaryOp, ast.BinOp, ast.JoinedStr, ast.FormattedValue, ast.operator)
_LITERALS += (ast.unaryop, ast.expr_context)  # type: ignore[assignment]


def _is_literal(value: ast.AST | None, constants: set[str]) -> bool:
    """Whether *value* is made of literals, operators and *constants*; an empty list will be filled."""
    if isinstance(value, ast.Name):
        return value.id in constants
    if isinstance(value, (ast.List, ast.Set, ast.Tuple)):
        parts: list[Any] = value.elts
    elif isinstance(value, ast.Dict):
        parts = [*value.keys, *value.values]
    else:
        return isinstance(value, _LITERALS) and all(
            _is_literal(each, constants) for each in ast.iter_child_nodes(value)
        )
    return bool(parts) and all(_is_literal(each, constants) for each in parts)
