"""Changes between two states of a process: what changed, how, and where it is defined."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile

from pytest_repro.adapters import find_generator_adapter, find_kind_name
from pytest_repro.core.diagnose import Change, StateRoot
from pytest_repro.engine.experiments.process_state import StateFact, StateFacts, is_within
from pytest_repro.interpose.code_owner import is_user_module

_MAX_CHANGES = 500
_MAX_PART_NAMES = 3


def diff_states(before: StateFacts, after: StateFacts, roots: Mapping[str, StateRoot]) -> Iterator[Change]:
    """The changes from *before* to *after*: first what grew or shrank, then what has other contents.

    Joins changes of several parts of one object, such as the buffers of a module, to one.
    """
    names = [name for name in after if after[name] != before.get(name)][:_MAX_CHANGES]
    names = [name for name in names if not any(name != other and is_within(name, other) for other in names)]
    names.sort(key=lambda n: (_get_size(after[n]) == _get_size(before.get(n)), n.startswith("file")))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_find_top_level(name, roots), []).append(name)
    for top, parts in groups.items():
        root, (module, _, attribute) = roots.get(top), top.rpartition(".")
        owner = root.value if root else getattr(sys.modules.get(module), "__dict__", {}).get(attribute)
        kind = find_kind_name(owner)
        if find_generator_adapter(owner) is not None:
            name, description = top, "was drawn from"  # the names of its parts mean nothing to a user
        else:
            name = _find_shared_prefix(parts, top)
            description = _describe_change(name, parts, before, after)
        location = root.location if root else find_definition(name)
        yield Change(name, description, location, kind, top if kind else "")


def _get_size(fact: StateFact | None) -> int:
    return (fact.size or 0) if fact is not None else 0


def _find_top_level(name: str, roots: Mapping[str, StateRoot]) -> str:
    """The root, or the global of a module, that *name* is a part of."""
    parts = _split_name(name)
    modules = (count for count in range(len(parts) - 1, 0, -1) if "".join(parts[:count]) in sys.modules)
    default = "".join(parts[: next(modules, len(parts)) + 1])
    return next((root for root in roots if is_within(name, root)), default)


def _split_name(name: str) -> list[str]:
    """``"data.CACHE['a']"`` as ``["data", ".CACHE", "['a']"]``."""
    return re.split(r"(?=[.(\[])", name)


def _find_shared_prefix(names: Sequence[str], top: str) -> str:
    """The longest name of an object in *top* that all *names* are parts of."""
    if len(names) == 1:
        return names[0]
    columns = zip(*(_split_name(name[len(top) :])[:-1] for name in names))
    return top + "".join(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, columns))


def _describe_change(name: str, parts: Sequence[str], before: StateFacts, after: StateFacts) -> str:
    if len(parts) == 1:
        return _describe_fact_change(before.get(name), after[name])
    listed = ", ".join(part[len(name) :].removeprefix(".") for part in parts[:_MAX_PART_NAMES])
    more = f" and {len(parts) - _MAX_PART_NAMES} more" if len(parts) > _MAX_PART_NAMES else ""
    return f"has different values in {listed}{more}"


def _describe_fact_change(before: StateFact | None, after: StateFact) -> str:
    if before is None:
        return "is new"
    if before.size != after.size:
        verb = "grew" if _get_size(after) > _get_size(before) else "shrank"
        unit = "results" if after.content == "cache" else "items"
        return f"{verb} from {before.size} to {after.size} {unit}"
    short = len(before.content) <= 20 and len(after.content) <= 20 and after.size is None
    return f"changed from {before.content} to {after.content}" if short else "has different values"


def find_definition(name: str) -> str:
    """Where *name*, ``"data.CACHE['a']"``, is defined, ``"/abs/data.py:7"``; ``""`` if not by the user."""
    parts = re.split(r"[.(\[]", name)
    for count in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:count]))
        file = getattr(module, "__file__", None)
        if module is not None and file and is_user_module(module):
            line = _find_line(file, parts[count:])
            return f"{file}:{line}" if line else file
    return ""


def _find_line(file: str, names: Sequence[str]) -> int:
    """The line that defines the last of *names* that *file* defines, each in the scope of the one before."""
    line = 0
    with suppress(OSError, SyntaxError, ValueError), open(file, "rb") as stream:
        tree = ast.parse(stream.read())
        body = tree.body
        for owner, name in zip(["", *names], names):
            defining = (node for node in body if name in _iter_defined_names(node))
            node = next(defining, None) or _find_assignment(tree, owner, name)
            line = node.lineno if node is not None else line
            if not isinstance(node, ast.ClassDef):
                break
            body = node.body
    return line


def _iter_defined_names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        yield node.name
    for target in _get_targets(node):
        yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _find_assignment(tree: ast.Module, owner: str, name: str) -> ast.stmt | None:
    """The first statement, at any depth, that assigns to the global *name*, or to ``owner.name``."""
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    return next((s for s in statements if any(_is_target(t, owner, name) for t in _get_targets(s))), None)


def _is_target(target: ast.expr, owner: str, name: str) -> bool:
    if not owner:
        return isinstance(target, ast.Name) and target.id == name
    if not isinstance(target, ast.Attribute) or target.attr != name:
        return False
    return getattr(target.value, "id", owner) in (owner, "cls")


def _get_targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []
