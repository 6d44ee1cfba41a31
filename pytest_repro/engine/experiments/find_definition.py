"""Where in its file a global is defined, or an attribute of a class."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from pytest_repro.interpose.user_frames import is_user_module

_Scope = ast.Module | ast.ClassDef


def find_definition(name: str) -> str:
    """Where what is called *name* is defined: ``"/abs/model.py:7"``; ``""`` for what is in no module.

    Args:
        name: Of a module's global and what hangs on it: ``"model.Net.made"``, ``"data.CACHE['a']"``.
    """
    parts = re.split(r"[.(\[]", name)
    for count in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:count]))
        file = getattr(module, "__file__", None)
        if module is not None and file and is_user_module(module):
            line = _find_line(file, parts[count:])
            return f"{file}:{line}" if line else file
    return ""


def _find_line(file: str, names: Sequence[str]) -> int:
    """The line that defines the last of *names* that any line does, each in the scope before it."""
    with suppress(OSError, SyntaxError), open(file, "rb") as stream:
        tree = ast.parse(stream.read())
        found, scope = 0, tree
        for above, name in zip(["", *names], names):
            node = _find_in_body(scope, name) or _find_anywhere(tree, above, name)
            if node is None:
                break
            found = node.lineno
            if not isinstance(node, ast.ClassDef):
                break
            scope = node  # type: ignore[assignment]
        return found
    return 0


def _find_in_body(scope: _Scope, name: str) -> ast.stmt | None:
    return next((node for node in scope.body if name in _iter_defined_names(node)), None)


def _find_anywhere(tree: ast.Module, owner: str, name: str) -> ast.stmt | None:
    """The first statement in a function, a loop or an ``if`` that sets the global, or ``above.name``."""
    for node in ast.walk(tree):
        for target in _get_targets(node):
            sets = isinstance(target, ast.Name) if not owner else isinstance(target, ast.Attribute)
            if sets and name in (getattr(target, "id", ""), getattr(target, "attr", "")):
                whose = getattr(getattr(target, "value", None), "id", owner)
                if isinstance(node, ast.stmt) and whose in (owner, "cls"):
                    return node
    return None


def _iter_defined_names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        yield node.name
    for target in _get_targets(node):
        yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def _get_targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []
