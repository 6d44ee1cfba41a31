"""The distance between two observations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from pytest_repro.core.compare.mismatch import Difference, Token, TokenDivergence, can_compare
from pytest_repro.core.plan.plan import ToleranceFunction, exact_tolerance
from pytest_repro.core.runs.observation import (
    TOKENS_KIND,
    ContentRef,
    Observation,
    TokenContext,
    is_coded,
)
from pytest_repro.values.spill_store import SpillStore, ValueBuffer
from pytest_repro.values.texts import measure_text_difference


def load_content(content: bytes | ContentRef, store: SpillStore) -> ValueBuffer | None:
    """The bytes of *content*; None if they were not kept."""
    return memoryview(content) if isinstance(content, bytes) else store.get(content)


def can_measure(reference: Observation, other: Observation, mixed_dtypes: bool) -> bool:
    """Whether the two have a distance: equal kinds, or numbers of two dtypes."""
    return reference.kind == other.kind or (mixed_dtypes and can_compare(reference, other))


def measure_distance(
    reference: Observation,
    values: ValueBuffer,
    other: Observation,
    pieces: Iterable[memoryview],
    tolerance_for: ToleranceFunction,
    for_plots: bool = False,
) -> Difference:
    """The distance of *other* from *reference*.

    Args:
        reference: An observation of the reference run.
        values: Its bytes.
        other: An observation with which it :func:`can_measure`.
        pieces: Its bytes, in pieces of whole elements.
        tolerance_for: The tolerance, by both dtypes.
        for_plots: Whether differing elements are counted by their distance in ulp and by their place.
    """
    if reference.kind == TOKENS_KIND:
        return diff_tokens(reference, values, pieces)
    choose = exact_tolerance if is_coded(reference.kind) else tolerance_for
    tolerance = choose(reference.dtype, other.dtype)
    if reference.kind == other.kind and "" in (reference.dtype, other.dtype):
        return measure_text_difference(reference.kind, values, pieces, tolerance)
    # numpy only where two arrays differ
    from pytest_repro.values.difference import measure_cross_dtype_difference, measure_difference

    if reference.kind != other.kind:
        elements = reference.dtype, other.dtype
        return measure_cross_dtype_difference(elements, reference.shape, values, pieces, tolerance)
    found = measure_difference(reference.dtype, reference.shape, values, pieces, tolerance, for_plots)
    return _format_moments(reference.kind, found) if is_coded(reference.kind) else found


def _format_moments(kind: str, difference: Difference) -> Difference:
    """*difference* of dates and spans of time, which are integers, with its elements as such."""
    from pytest_repro.values.elements import format_as_kind

    first = [(i, format_as_kind(kind, a), format_as_kind(kind, b)) for i, a, b in difference.first_elements]
    return replace(difference, first_values=first[0][1:] if first else None, first_elements=tuple(first))


def store_logits(context: TokenContext, store: SpillStore | None) -> TokenContext:
    """*context* with its logits kept on *store*: later they may be gone or overwritten.

    Without a store they are dropped, but still read: logits that cannot be read then fail every
    run alike.
    """
    if context.load_logits is None:
        return context
    leaf = context.load_logits()
    if store is None:
        return replace(context, load_logits=None)
    kept = store.get(store.put(leaf))
    if kept is None:
        return replace(context, load_logits=None)
    steps, width = leaf.shape[0], leaf.nbytes // (leaf.shape[0] or 1)
    rows = replace(leaf, read_chunks=lambda: (kept[i * width : (i + 1) * width] for i in range(steps)))
    return replace(context, load_logits=lambda: rows)


def diff_tokens(reference: Observation, buffer: ValueBuffer, pieces: Iterable[memoryview]) -> Difference:
    """Where the tokens in *pieces* diverge from *reference*, and how close their logits are there.

    Args:
        reference: Tokens of the reference run, with their context.
        buffer: Their bytes.
        pieces: The bytes of the other tokens.
    """
    ours = json.loads(bytes(buffer[:]))
    others = json.loads(b"".join(bytes(each) for each in pieces))
    differing = sum(a != b for a, b in zip(ours, others)) + abs(len(ours) - len(others))
    at = next((i for i, (a, b) in enumerate(zip(ours, others)) if a != b), min(len(ours), len(others)))
    candidates = _get_token(ours, at), _get_token(others, at)
    found = _measure_divergence(reference.token_context or TokenContext(), at, candidates)
    one, two = ("the end" if each is None else repr(each) for each in candidates)
    total = max(len(ours), len(others))
    return Difference(
        differing, total, differing, first_index=(at,), first_values=(one, two), token_divergence=found
    )  # fmt: skip


def _get_token(tokens: Sequence[int | str], index: int) -> Token:
    return tokens[index] if index < len(tokens) else None


def _measure_divergence(
    context: TokenContext, index: int, candidates: tuple[Token, Token]
) -> TokenDivergence:
    if context.load_logits is None or candidates[0] is None:  # the reference has no token there, or no logits
        return TokenDivergence(candidates, sampling=context.sampling)
    from pytest_repro.metrics.completions import compute_logit_gaps
    from pytest_repro.values.dtypes import decode_numbers

    leaf = context.load_logits()
    content = next(islice(leaf.read_chunks(), index, None), None)
    row = decode_numbers(leaf.dtype, content) if content is not None else None
    if row is None:  # the logits are in another process, and were not fetched
        return TokenDivergence(candidates, sampling=context.sampling)
    # Added tokens may lie beyond the logits; special ones may be negative.
    one, two = (None if isinstance(each, int) and not 0 <= each < row.size else each for each in candidates)
    return TokenDivergence(candidates, *compute_logit_gaps(row.astype("f8"), one, two), context.sampling)
