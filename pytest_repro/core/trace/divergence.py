"""Where two traces first part: an answer, never an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_repro.core.trace.trace import Op, Trace

DivergenceKind = Literal["value", "path", "length", "input"]

CONTEXT = 3
"""Ops shown before and after the one at which two traces part."""

_BLOCK = 4096  # ops compared at a time, in C: a million equal ops take 0.1 s, one by one 5 s


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first op at which two traces part.

    Attributes:
        kind: ``"value"``: the same op on the same inputs gave another output; ``"input"``: a
            value from outside torch, or the generator that the op draws from, was another
            one; ``"path"``: another op; ``"length"``: one trace ends before the other.
        op: Name of the op in the first trace; of ``"length"`` the first op beyond the end of the
            shorter one.
        index: Its place in the trace, from 0; equal in both.
        location: The user's line, ``"/abs/file.py:19"``; ``""`` unknown.
        forward_location: Of an op of the backward pass: the user's line of the forward op.
        other_op: Name of the op in the second trace; of ``"length"`` it is ``""``.
        other_location: The user's line in the second trace.
        random: Whether the op draws random numbers.
        ended_trace: Of ``"length"``: which trace ended, the ``"first"`` or the ``"second"``.
        context_start: Index of the first op of both contexts.
        context: The ops of the first trace from three before it to three after it.
        other_context: Those of the second trace.
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


def first_divergence(a: Trace, b: Trace) -> Divergence | None:
    """The first op at which two traces part, or None when they agree to the end.

    Ops are compared by name, digests of outputs and of inputs from outside, and the state of the
    generator they draw from. The lines they stand on do not count, nor which part of a tensor they
    read: where the values are the same, the traces are.

    Args:
        a: A trace, of this process or another.
        b: Another trace of the same program.
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
    # Another part of the same tensor was read: an index came from outside, no kernel did it.
    return (
        "input" if (a.inputs, a.generator_state, a.view) != (b.inputs, b.generator_state, b.view) else "value"
    )
