"""Flattens a value into leaves, each with its path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pytest_repro.core.runs.observation import Container, Leaf, Parts

FlattenResult = Leaf | Parts | str | None
"""A leaf, the parts, why it cannot be read (``"is a meta tensor: …"``), or None if its type is unknown."""

Flattener = Callable[[object], FlattenResult]

_IGNORED_TYPES = (str, bytes, bytearray, int, float, complex, set, frozenset, type(None))
# Local variables of these types are never observed: a list of a million numbers costs none of the budget.

MAX_DEPTH = 100
"""Deepest nesting of a recorded value; deeper nesting is probably a mistake."""


FoundLeaf = tuple[str, Leaf, tuple[Container, ...]]
"""Path inside the value, the leaf, and the containers that begin with it, the outermost first."""


def iter_leaves(
    value: object,
    name: str,
    flatten: Flattener,
    path: str = "",
    ancestors: tuple[int, ...] = (),
    containers: tuple[Container, ...] = (),
) -> Iterator[FoundLeaf]:
    """The leaves of a recorded *value*, called *name* in errors, in a fixed order, each with its path.

    A part is at *path* inside the recorded value, *ancestors* are the ``id`` of all that it is a part of, and
    *containers* those that begin with it.

    Raises:
        TypeError: A part cannot be read; the message names its path and type.
    """
    try:
        result = flatten(value)
    except Exception as error:
        raise TypeError(f"{name}{path} cannot be read: {type(error).__name__}: {error}") from error
    if isinstance(result, Leaf):
        yield path, result, containers
    elif isinstance(result, str):
        raise TypeError(f"{name}{path} {result}")
    elif result is None:
        raise TypeError(f"{name}{path} is of the unknown type {type(value).__qualname__}")
    elif id(value) in ancestors or len(ancestors) >= MAX_DEPTH:
        why = "contains itself" if id(value) in ancestors else f"nests deeper than {MAX_DEPTH}"
        raise TypeError(f"{name}{path} cannot be recorded: it {why}")
    else:
        below, begun = (*ancestors, id(value)), (*containers, (path, result.kind))
        for suffix, part in result.items:
            yield from iter_leaves(part, name, flatten, path + suffix, below, begun)
            begun = ()
        if begun:  # it is empty
            yield path, Leaf(result.kind, "", (), 0, lambda: ()), containers


class SkippedValue(NamedTuple):
    """A value at *path* inside a local variable that is not compared."""

    path: str
    value: object
    reason: str = ""  # why; ``""`` if values of its type never are


DURATION = "is a duration by its name, which differs in each run"
_TOO_LARGE = "is more than is compared of local variables"

_DURATION_NAME = re.compile(
    r"(?:\w_times?|(?:^|_)(?:durations?|elapsed|seconds|secs|runtimes?|timings?|latenc(?:y|ies)))"
    r"(?:_(?:sec|secs|seconds|s|ms|us|ns))?_?$"
)
_LAST_NAME = re.compile(r"(\w+)(?:['\"]\])?(?:\[\d+\])*$")
_LAST_LABEL = re.compile(r"\[\(?((?:'\w*'(?:, )?)+)\)?\]$")
_MAX_SKIPPED = 50  # most skipped values of a variable that are kept: they are there to be named


@lru_cache(maxsize=1024)
def is_duration(path: str) -> bool:
    """Whether the last name in *path* is that of a duration: ``elapsed``, ``cv['mean_fit_time'][0]``."""
    label, last = _LAST_LABEL.search(path), _LAST_NAME.search(path)
    names = label[1].split(", ") if label is not None else [last[1]] if last is not None else []
    return any(_DURATION_NAME.search(name.strip("'").lower()) is not None for name in names)


def _may_be_duration(leaf: Leaf, path: str, in_numeric: bool) -> bool:
    """Whether *leaf* is a float that may be named by what it is; arrays of modules are named otherwise."""
    is_named = not in_numeric or not path or leaf.kind == "float" or _LAST_LABEL.search(path) is not None
    return is_named and leaf.dtype.startswith("float") and "requires grad" not in leaf.metadata


@dataclass(slots=True)
class LocalsBudget:
    """How much of the local variables is still observed, and the first values of one that are skipped."""

    nodes: int = 10_000
    depth: int = 8
    nbytes: int = 2**32  # logical bytes: a broadcast view of four bytes may have terabytes of them
    skipped: list[SkippedValue] = field(default_factory=list)

    def skip(self, path: str, value: object, reason: str = "") -> None:
        """Notes that *value* is not compared."""
        if len(self.skipped) < _MAX_SKIPPED:
            self.skipped.append(SkippedValue(path, value, reason))


def iter_numeric_leaves(
    value: object,
    name: str,
    flatten: Flattener,
    budget: LocalsBudget,
    path: str = "",
    ancestors: tuple[int, ...] = (),
    containers: tuple[Container, ...] = (),
    in_numeric: bool = False,
) -> Iterator[FoundLeaf]:
    """The arrays of numbers in a local variable, without anything else in it.

    Everything else is noted in *budget*, also what cannot be read: it must not fail the test. The arguments
    are those of :func:`iter_leaves`; *in_numeric*: every part of *value* counts as numeric.
    """
    if not in_numeric and isinstance(value, _IGNORED_TYPES):
        budget.skip(path, value)
        return
    if id(value) in ancestors:
        return
    budget.nodes -= 1
    if budget.nodes < 0 or len(ancestors) > budget.depth:
        budget.skip(path, value, _TOO_LARGE)
        return
    try:
        result = flatten(value)
    except Exception as error:  # a half-initialised module, a lazy tensor: foreign objects may do anything
        budget.skip(path, value, f"cannot be read: {type(error).__name__}")
        return
    if isinstance(result, Leaf):
        if not (result.numeric or in_numeric):
            budget.skip(path, value)
        elif _may_be_duration(result, path, in_numeric) and is_duration(f"{name}{path}"):
            budget.skip(path, value, DURATION)
        elif result.nbytes > budget.nbytes:
            budget.skip(path, value, _TOO_LARGE)
        else:
            budget.nbytes -= result.nbytes
            yield path, result, containers
    elif result is None or isinstance(result, str):
        budget.skip(path, value, result or "")
    else:
        below, numeric = (*ancestors, id(value)), in_numeric or result.numeric
        begun = (*containers, (path, result.kind))
        for suffix, part in _iter_parts(result, value, path, budget):
            at = path + suffix
            for leaf in iter_numeric_leaves(part, name, flatten, budget, at, below, begun, numeric):
                yield leaf
                begun = ()


def _iter_parts(parts: Parts, value: object, path: str, budget: LocalsBudget) -> Iterator[tuple[str, object]]:
    """The parts, until the budget is spent or a foreign object raises."""
    try:
        for item in parts.items:
            if budget.nodes <= 0:
                budget.skip(path, value, _TOO_LARGE)
                return
            yield item
    except Exception as error:
        budget.skip(path, value, f"cannot be read: {type(error).__name__}")
