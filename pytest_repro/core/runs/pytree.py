"""Takes a value apart into leaves, each with the path that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_repro.core.runs.observation import Leaf, Parts

FlattenResult = Leaf | Parts | str | None
"""A leaf, its parts, why it cannot be read (``"is a meta tensor: …"``), or None: nobody knows it."""

Flattener = Callable[[object], FlattenResult]

_IGNORED_TYPES = (str, bytes, bytearray, int, float, complex, set, frozenset, type(None))
# Among local variables these never count; a list of a million numbers spends none of the budget.

MAX_DEPTH = 100
"""How deep a recorded value may nest; deeper is taken for a mistake."""


def _read_nothing() -> Iterator[memoryview]:
    return iter(())


def make_empty_leaf(kind: str) -> Leaf:
    """The leaf that stands for a container without items: its kind is all there is to compare."""
    return Leaf(kind, "", (), 0, _read_nothing)


def iter_leaves(value: object, name: str, flatten: Flattener) -> Iterator[tuple[str, Leaf]]:
    """The leaves of a recorded *value* in a fixed order, each with its path below *name*.

    Args:
        value: Anything recordable.
        name: How errors call it.
        flatten: Opens one value.

    Raises:
        TypeError: Something in it cannot be read; the message names its path and type.
    """
    yield from _iter_leaves(value, name, "", flatten, ())


def _iter_leaves(
    value: object, name: str, path: str, flatten: Flattener, ancestors: tuple[int, ...]
) -> Iterator[tuple[str, Leaf]]:
    opened = _flatten(value, f"{name}{path}", flatten)
    if isinstance(opened, Leaf):
        yield path, opened
    elif isinstance(opened, str):
        raise TypeError(f"{name}{path} {opened}")
    elif opened is None:
        raise TypeError(explain_unrecordable(f"{name}{path}", value))
    elif id(value) in ancestors or len(ancestors) >= MAX_DEPTH:
        why = "contains itself" if id(value) in ancestors else f"nests deeper than {MAX_DEPTH}"
        raise TypeError(f"{name}{path} cannot be recorded: it {why}")
    else:
        empty = True
        for suffix, part in opened.items:
            empty = False
            yield from _iter_leaves(part, name, path + suffix, flatten, (*ancestors, id(value)))
        if empty:
            yield path, make_empty_leaf(opened.kind)


def _flatten(value: object, path: str, flatten: Flattener) -> FlattenResult:
    try:
        return flatten(value)
    except Exception as error:
        raise TypeError(f"{path} cannot be read: {type(error).__name__}: {error}") from error


def explain_unrecordable(path: str, value: object) -> str:
    """Why *value* at *path* cannot be recorded, and what to record instead."""
    kind = type(value)
    said = f"{path} is a {kind.__module__}.{kind.__qualname__}, which cannot be recorded"
    if callable(getattr(kind, "state_dict", None)):
        return f"{said}: record its .state_dict()"
    return (
        f"{said}: record the numbers, text, arrays, tensors, modules or optimisers in it, "
        "or lists, tuples, dicts, sets or dataclasses of them"
    )


@dataclass(slots=True)
class LocalsBudget:
    """How much of the local variables is looked at; what is left over is counted."""

    nodes: int = 10_000
    depth: int = 8
    nbytes: int = 2**32  # logical ones: a broadcast view of four bytes may stand for terabytes
    skipped_locals: int = 0


def iter_numeric_leaves(
    value: object, name: str, flatten: Flattener, budget: LocalsBudget
) -> Iterator[tuple[str, Leaf]]:
    """The arrays of numbers in a local variable; whatever else it holds is passed over.

    A value that cannot be read is skipped and counted in *budget*, never an error of the test
    that happens to hold it.
    """
    yield from _iter_numeric(value, name, "", flatten, budget, (), False)


def _iter_numeric(
    value: object,
    name: str,
    path: str,
    flatten: Flattener,
    budget: LocalsBudget,
    ancestors: tuple[int, ...],
    in_numeric: bool,
) -> Iterator[tuple[str, Leaf]]:
    if not in_numeric and isinstance(value, _IGNORED_TYPES):
        return
    budget.nodes -= 1
    if budget.nodes < 0 or len(ancestors) > budget.depth or id(value) in ancestors:
        budget.skipped_locals += 1
        return
    try:
        opened = flatten(value)
    except Exception:  # a half-made module, a lazy tensor: somebody else's object may do anything
        budget.skipped_locals += 1
        return
    if isinstance(opened, Leaf):
        if opened.numeric or in_numeric:
            yield from _iter_affordable(path, opened, budget)
    elif isinstance(opened, str):
        budget.skipped_locals += 1
    elif opened is not None:
        below = (*ancestors, id(value))
        for suffix, part in _iter_parts(opened, budget):
            yield from _iter_numeric(
                part, name, path + suffix, flatten, budget, below, in_numeric or opened.numeric
            )


def _iter_affordable(path: str, leaf: Leaf, budget: LocalsBudget) -> Iterator[tuple[str, Leaf]]:
    if leaf.nbytes > budget.nbytes:
        budget.skipped_locals += 1
        return
    budget.nbytes -= leaf.nbytes
    yield path, leaf


def _iter_parts(parts: Parts, budget: LocalsBudget) -> Iterator[tuple[str, object]]:
    """The parts, until the budget is spent or somebody else's object raises."""
    try:
        for item in parts.items:
            if budget.nodes <= 0:
                return
            yield item
    except Exception:
        budget.skipped_locals += 1
