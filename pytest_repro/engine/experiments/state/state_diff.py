"""Changes between two states of a process: what changed, how, and where it is defined."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile

from pytest_repro.core.diagnose import Change, StateRoot
from pytest_repro.engine.experiments.state.process_state import StateFact, StateFacts, is_within
from pytest_repro.interpose.code_owner import is_user_module

_MAX_CHANGES = 500
_MAX_PART_NAMES = 3

MOVED = "has moved on"
"""Of an iterator, whose position says nothing to a user."""

PARTED_KINDS = ("", "module")
"""Kinds of objects whose parts are found, and restored, one by one."""

_GENERATOR_KINDS = ("generator", "random.Random")


def diff_states(before: StateFacts, after: StateFacts, roots: Mapping[str, StateRoot]) -> Iterator[Change]:
    """The changes from *before* to *after*: first what grew or shrank, then what has other contents.

    An optimiser or a generator is one change, whatever parts of it differ: it is restored as a whole.
    """
    names = [name for name in {**after, **before} if after.get(name) != before.get(name)][:_MAX_CHANGES]
    names = [name for name in names if not any(name != other and is_within(name, other) for other in names)]
    names.sort(key=lambda name: _get_size(after.get(name)) == _get_size(before.get(name)))
    groups: dict[str, list[str]] = {}
    for name in names:
        fact = after.get(name) or before[name]
        groups.setdefault(fact.owner if fact.kind not in PARTED_KINDS else name, []).append(name)
    for name, parts in groups.items():
        fact = after.get(parts[0]) or before[parts[0]]
        if fact.kind in PARTED_KINDS:
            description = _describe_fact_change(before.get(name), after.get(name))
        elif fact.kind.endswith(_GENERATOR_KINDS):
            description = "was drawn from"  # the names of its parts mean nothing to a user
        else:
            description = describe_parts(name, parts)
        yield Change(name, description, _find_location(name, roots), fact.kind, fact.owner)


def _find_location(name: str, roots: Mapping[str, StateRoot]) -> str:
    root = next((root for top, root in roots.items() if is_within(name, top)), None)
    return root.location if root is not None else find_definition(name)


def join_changes(changes: Sequence[Change]) -> tuple[Change, ...]:
    """*changes*, with those of one module as one, and likewise many of one global."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(find_owner(change), []).append(change)
    joined: list[Change] = []
    for top, parts in groups.items():
        if len(parts) == 1 or (len(parts) <= _MAX_PART_NAMES and not parts[0].owner):
            joined += parts
        else:
            names = [part.name for part in parts]
            name = _find_shared_prefix(names, top)
            joined.append(parts[0]._replace(name=name, description=describe_parts(name, names)))
    return tuple(joined)


def _get_size(fact: StateFact | None) -> int:
    return (fact.size or 0) if fact is not None else 0


def find_owner(change: Change) -> str:
    """The module, optimiser or generator, else the fixture or global, that *change* is in."""
    if change.owner or change.name.startswith("file "):
        return change.owner or change.name
    parts = _split_name(change.name)
    if " " in parts[0]:  # "fixture net"
        return parts[0]
    modules = (count for count in range(len(parts) - 1, 0, -1) if "".join(parts[:count]) in sys.modules)
    return "".join(parts[: next(modules, len(parts)) + 1])


def _split_name(name: str) -> list[str]:
    """``"data.CACHE['a']"`` as ``["data", ".CACHE", "['a']"]``."""
    return re.split(r"(?=[.(\[])", name)


def _find_shared_prefix(names: Sequence[str], top: str) -> str:
    """The longest name of an object in *top* that all *names* are parts of."""
    columns = zip(*(_split_name(name[len(top) :])[:-1] for name in names))
    return top + "".join(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, columns))


def describe_parts(name: str, parts: Sequence[str]) -> str:
    """How *name* changed: several of its *parts*."""
    listed = ", ".join(part[len(name) :].removeprefix(".") for part in parts[:_MAX_PART_NAMES])
    more = f" and {len(parts) - _MAX_PART_NAMES} more" if len(parts) > _MAX_PART_NAMES else ""
    return f"has different values in {listed}{more}" if listed else "has different values"


def _describe_fact_change(before: StateFact | None, after: StateFact | None) -> str:
    if before is None or after is None:
        return "is new" if before is None else "is gone"
    if before.size != after.size:
        verb = "grew" if _get_size(after) > _get_size(before) else "shrank"
        unit = "results" if after.content == "cache" else "items"
        return f"{verb} from {before.size} to {after.size} {unit}"
    if after.content.startswith("at "):
        return MOVED
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
            return f"{file}:{line}" if line else ""  # it may be set elsewhere, by a conftest
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
    if not owner:  # "module.RNG = …", in setup_module(module)
        return name in (getattr(target, "id", ""), getattr(target, "attr", ""))
    if not isinstance(target, ast.Attribute) or target.attr != name:
        return False
    return getattr(target.value, "id", owner) in (owner, "cls")


def _get_targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []
