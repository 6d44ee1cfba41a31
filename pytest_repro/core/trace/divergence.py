"""The first op in which two traces differ, and the first line in which two runs do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, NamedTuple

from pytest_repro.core.trace.trace import Op, Trace

DivergenceKind = Literal["value", "path", "length", "input"]

CONTEXT = 3
"""Number of ops shown before and after the first that differs."""

_BLOCK = 4096  # ops compared at a time, in C: a million equal ops take 0.1 s, one by one 5 s


class Receipt(NamedTuple):
    """How a rank received what first differs in it."""

    rank: int
    senders: tuple[int, ...]  # ranks that differed before
    op: str  # the collective: ``"all_reduce"``
    position: int  # index of its op in *rank*
    location: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first op in which two traces differ.

    Attributes:
        kind: ``"value"``: the same op on the same inputs returned another output; ``"input"``: a value from
            outside torch, or the state of the op's generator, differs; ``"path"``: the ops differ;
            ``"length"``: one trace ends before the other.
        op: Name of the op in the first trace; for ``"length"`` the first op after the end of the shorter one.
        index: Index of the op, from 0, in both traces.
        location: The user's line, ``"/abs/file.py:19"``; ``""`` if unknown.
        forward_location: For an op of the backward pass, the user's line of the forward op.
        other_op: Name of the op in the second trace; ``""`` for ``"length"``.
        other_location: The user's line in the second trace.
        random: Whether the op draws random numbers.
        ended_trace: For ``"length"``, which trace ended.
        context_start: Index of the first op of both contexts.
        context: The ops of the first trace from three before the op to three after it.
        other_context: The same of the second trace.
        rank: Of several ranks, the one that has the op.
        received: How other ranks received what differs.
        others: The first op that differs in other ranks, if no collective establishes which came first.
    """

    kind: DivergenceKind
    op: str
    index: int
    location: str
    forward_location: str
    other_op: str
    other_location: str
    random: bool
    ended_trace: Literal["", "first", "second"]
    context_start: int
    context: tuple[Op, ...]
    other_context: tuple[Op, ...]
    rank: int | None = None
    received: tuple[Receipt, ...] = ()
    others: tuple[Divergence, ...] = ()


def first_divergence(a: Trace, b: Trace) -> Divergence | None:
    """The first op in which two traces of a program differ; None if they are equal.

    Ops are compared by name, by the digests of outputs and of inputs from outside torch, and by the state of
    their generator. Their lines do not count, nor which part of a tensor they read if the values are equal.
    """
    index = _find_first_difference(a, b)
    left = a[index] if index < len(a) else None
    right = b[index] if index < len(b) else None
    shown = left or right
    if shown is None:
        return None
    start, stop = max(0, index - CONTEXT), index + CONTEXT + 1
    return Divergence(
        kind=_classify(left, right),
        op=shown.name,
        index=index,
        location=shown.location,
        forward_location=shown.forward_location,
        other_op=right.name if left and right else "",
        other_location=right.location if left and right else "",
        random=any(op.generator_state for op in (left, right) if op),
        ended_trace="second" if right is None else "first" if left is None else "",
        context_start=start,
        context=a[start:stop],
        other_context=b[start:stop],
    )


def _find_first_difference(a: Trace, b: Trace) -> int:
    """Index of the first op that differs; where none does, the length of the shorter trace."""
    shorter = min(len(a), len(b))
    for start in range(0, shorter, _BLOCK):
        stop = min(start + _BLOCK, shorter)
        if a.comparison_key(start, stop) != b.comparison_key(start, stop):
            return next(i for i in range(start, stop) if _comparison_key(a[i]) != _comparison_key(b[i]))
    return shorter


def _comparison_key(op: Op) -> tuple[object, ...]:
    return op.name, op.inputs, op.generator_state, op.outputs


def _classify(a: Op | None, b: Op | None) -> DivergenceKind:
    if a is None or b is None:
        return "length"
    if a.name != b.name:
        return "path"
    # Another view is another part of the same tensor: the index came from outside, no kernel is to blame.
    same_input = (a.inputs, a.generator_state, a.view) == (b.inputs, b.generator_state, b.view)
    return "value" if same_input else "input"


class LineStep(NamedTuple):
    """What one line did: *changed_locals* has name and digest of each local variable that it changed.

    ``return`` is the value that a function returned.
    """

    location: str  # ``"/abs/data.py:12"``
    changed_locals: tuple[tuple[str, str], ...]


class LineDivergence(NamedTuple):
    """The first line in which two runs differ."""

    location: str = ""  # ``""`` if none differs
    name: str = ""  # the local variable that differs after it; ``""`` if the runs executed other lines


def find_line_divergence(reference: Sequence[LineStep], other: Sequence[LineStep]) -> LineDivergence:
    """The first line in which two runs differ: another line, or another value of a local variable."""
    for a, b in zip_longest(reference, other):
        if a == b:
            continue
        if a is None or b is None or a.location != b.location:
            return LineDivergence((a or b).location)
        ours, theirs = dict(a.changed_locals), dict(b.changed_locals)
        name = next((n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n)), "")
        return LineDivergence(a.location, name)
    return LineDivergence()
