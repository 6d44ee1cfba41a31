"""Flattens a value into leaves, each with its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_repro.core.runs.observation import Leaf, Parts

FlattenResult = Leaf | Parts | str | None
"""A leaf, the parts, why it cannot be read (``"is a meta tensor: …"``), or None if its type is unknown."""

Flattener = Callable[[object], FlattenResult]

_IGNORED_TYPES = (str, bytes, bytearray, int, float, complex, set, frozenset, type(None))
# Local variables of these types are never observed: a list of a million numbers costs none of the budget.

MAX_DEPTH = 100
"""Deepest nesting of a recorded value; deeper nesting is probably a mistake."""


def iter_leaves(
    value: object, name: str, flatten: Flattener, path: str = "", ancestors: tuple[int, ...] = ()
) -> Iterator[tuple[str, Leaf]]:
    """The leaves of a recorded *value*, called *name* in errors, in a fixed order, each with its path.

    A part is at *path* inside the recorded value, and *ancestors* are the ``id`` of all that it is a part of.

    Raises:
        TypeError: A part cannot be read; the message names its path and type.
    """
    try:
        result = flatten(value)
    except Exception as error:
        raise TypeError(f"{name}{path} cannot be read: {type(error).__name__}: {error}") from error
    if isinstance(result, Leaf):
        yield path, result
    elif isinstance(result, str):
        raise TypeError(f"{name}{path} {result}")
    elif result is None:
        raise TypeError(f"{name}{path} is of the unknown type {type(value).__qualname__}")
    elif id(value) in ancestors or len(ancestors) >= MAX_DEPTH:
        why = "contains itself" if id(value) in ancestors else f"nests deeper than {MAX_DEPTH}"
        raise TypeError(f"{name}{path} cannot be recorded: it {why}")
    else:
        empty = True
        for suffix, part in result.items:
            empty = False
            yield from iter_leaves(part, name, flatten, path + suffix, (*ancestors, id(value)))
        if empty:  # then only the kind is compared
            yield path, Leaf(result.kind, "", (), 0, lambda: ())


@dataclass(slots=True)
class LocalsBudget:
    """How much of the local variables is still observed, and how many values were skipped."""

    nodes: int = 10_000
    depth: int = 8
    nbytes: int = 2**32  # logical bytes: a broadcast view of four bytes may have terabytes of them
    skipped_locals: int = 0


def iter_numeric_leaves(
    value: object,
    name: str,
    flatten: Flattener,
    budget: LocalsBudget,
    path: str = "",
    ancestors: tuple[int, ...] = (),
    in_numeric: bool = False,
) -> Iterator[tuple[str, Leaf]]:
    """The arrays of numbers in a local variable, without anything else in it.

    A value that cannot be read is skipped and counted in *budget*: it must not fail the test. The arguments
    are those of :func:`iter_leaves`; *in_numeric*: every part of *value* counts as numeric.
    """
    if not in_numeric and isinstance(value, _IGNORED_TYPES):
        return
    budget.nodes -= 1
    if budget.nodes < 0 or len(ancestors) > budget.depth or id(value) in ancestors:
        budget.skipped_locals += 1
        return
    try:
        result = flatten(value)
    except Exception:  # a half-initialised module, a lazy tensor: foreign objects may do anything
        budget.skipped_locals += 1
        return
    if isinstance(result, Leaf):
        if not (result.numeric or in_numeric):
            return
        if result.nbytes <= budget.nbytes:
            budget.nbytes -= result.nbytes
            yield path, result
        else:
            budget.skipped_locals += 1
    elif isinstance(result, str):
        budget.skipped_locals += 1
    elif result is not None:
        below, numeric = (*ancestors, id(value)), in_numeric or result.numeric
        for suffix, part in _iter_parts(result, budget):
            yield from iter_numeric_leaves(part, name, flatten, budget, path + suffix, below, numeric)


def _iter_parts(parts: Parts, budget: LocalsBudget) -> Iterator[tuple[str, object]]:
    """The parts, until the budget is spent or a foreign object raises."""
    try:
        for item in parts.items:
            if budget.nodes <= 0:
                return
            yield item
    except Exception:
        budget.skipped_locals += 1
