"""Where a sequence of tokens parts from the one it is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.runs.observation import Beside, Observation
from pytest_repro.core.runs.token_sequence import Parting, Token
from pytest_repro.values.spill_store import Kept, Shelf


def shelved(beside: Beside, shelf: Shelf | None) -> Beside:
    """*beside*, its logits kept on *shelf*: later they may be gone, or have been written to.

    Without a shelf they are left out, but read like the others: what cannot be read fails each run
    alike, else an ordinary failure would be told as one that runs do not share.
    """
    if beside.logits is None:
        return beside
    leaf = beside.logits()
    if shelf is None:
        return replace(beside, logits=None)
    kept = shelf.get(shelf.put(leaf))
    if kept is None:
        return replace(beside, logits=None)
    steps, width = leaf.shape[0], leaf.nbytes // (leaf.shape[0] or 1)
    rows = replace(leaf, pieces=lambda: (kept[i * width : (i + 1) * width] for i in range(steps)))
    return replace(beside, logits=lambda: rows)


def parting(reference: Observation, values: Kept, pieces: Iterable[memoryview]) -> Difference:
    """Where *pieces*, tokens of another run, part from those of *reference*, and how close it was.

    Args:
        reference: Tokens, with what is known beside them.
        values: Their bytes.
        pieces: The other's bytes.
    """
    ours = json.loads(bytes(values[:]))
    others = json.loads(b"".join(bytes(each) for each in pieces))
    differing = sum(a != b for a, b in zip(ours, others)) + abs(len(ours) - len(others))
    at = next((i for i, (a, b) in enumerate(zip(ours, others)) if a != b), min(len(ours), len(others)))
    candidates = _at(ours, at), _at(others, at)
    found = _measured(reference.beside or Beside(), at, candidates)
    one, two = ("the end" if each is None else repr(each) for each in candidates)
    total = max(len(ours), len(others))
    return Difference(
        differing, total, differing, first_index=(at,), first_values=(one, two), parting=found
    )  # fmt: skip


def _at(tokens: Sequence[int | str], index: int) -> Token:
    return tokens[index] if index < len(tokens) else None


def _measured(beside: Beside, at: int, candidates: tuple[Token, Token]) -> Parting:
    if beside.logits is None or candidates[0] is None:  # the reference had no token there, and no logits
        return Parting(candidates, sampling=beside.sampling)
    from pytest_repro.metrics.completions import gaps
    from pytest_repro.values.dtypes import numbers

    leaf = beside.logits()
    content = next(islice(leaf.pieces(), at, None), None)
    row = numbers(leaf.element, content) if content is not None else None
    if row is None:  # they are elsewhere, and were not fetched
        return Parting(candidates, sampling=beside.sampling)
    # Tokens added to a vocabulary can lie beyond the logits, and those that stand for none below.
    one, two = (None if isinstance(each, int) and not 0 <= each < row.size else each for each in candidates)
    return Parting(candidates, *gaps(row.astype("f8"), one, two), beside.sampling)
