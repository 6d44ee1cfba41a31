"""Token sequences of several runs: how many there are, and where they part."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arguments import check_real, format_percent
from pytest_repro.metrics._arrays import as_array, to_python_scalar

Token = int | str
_TokenSequence = tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token sequences of several runs.

    Attributes:
        runs: Number of runs.
        distinct: Number of different completions.
        share: Share of the runs that gave the most frequent one.
        first_index: Index of the first token that is not the same in all runs; None where all are equal.
        candidates: The two most frequent tokens there, the first run's first where they are as
            frequent; None in the place of a token: the completion had ended.
        gap: How far the logits of the two candidates are apart there, in the unit of the logits, at
            least over the runs; None without logits, or where a completion had ended.
        top_gap: How far the largest logit is above the second there, likewise: where the candidates
            are not the two largest, the tokens were sampled.
    """

    runs: int
    distinct: int
    share: float
    first_index: int | None = None
    candidates: tuple[Token | None, Token | None] | None = None
    gap: float | None = None
    top_gap: float | None = None

    def __str__(self) -> str:
        text = f"{self.distinct} distinct of {self.runs}, most frequent {format_percent(self.share)}"
        if self.candidates is not None:
            one, two = ("the end" if each is None else repr(each) for each in self.candidates)
            text += f", first differing index {self.first_index}: {one} or {two}"
        text += "" if self.gap is None else f", gap {self.gap:.3g}"
        return text + ("" if self.top_gap is None else f" (top-1 over top-2 {self.top_gap:.3g})")


def tokens(runs: Collection[object], logits: Collection[object] | None = None) -> Tokens:
    """How many completions several runs gave, and where they part first.

    Up to the first differing index all runs have read the same, so that the gap there says what made
    them part: far below the rounding of the logits, or a sampled token.

    Args:
        runs: Two or more, each the token ids of one, of shape (steps,), integers; or a list of
            texts. Their lengths may differ.
        logits: For each run of shape (steps, vocabulary), what its tokens were taken from; those at
            the first differing index are looked at. Token ids are the indices into the vocabulary.

    Raises:
        TypeError: *runs* holds what are no tokens, or *logits* no numbers, or texts have logits.
        ValueError: There are fewer than two runs, not one array of logits for each, or one that does
            not reach to the first differing index, or holds a NaN there.
    """
    found = [_read_tokens(f"runs[{i}]", run) for i, run in enumerate(runs)]
    if len(found) < 2:
        raise ValueError(f"runs holds {len(found)}: expected 2 or more")
    if logits is not None and len(logits) != len(found):
        raise ValueError(f"logits holds {len(logits)}: expected one for each of the {len(found)} runs")
    every = Counter(found)
    share = every.most_common(1)[0][1] / len(found)
    if len(every) == 1:
        return Tokens(len(found), 1, share)
    first = _find_divergence(found)
    counted = Counter(run[first] if first < len(run) else None for run in found)
    (one, _), (two, _) = counted.most_common(2)
    gaps = (None, None) if logits is None else _compute_min_logit_gaps(list(logits), found, first, one, two)
    return Tokens(len(found), len(every), share, first, (one, two), *gaps)


def check_sampling(temperature: object, top_p: object) -> dict[str, float | None]:
    """Sampling settings, checked; None for one that is not given.

    Raises:
        TypeError: One is no number.
        ValueError: *temperature* is negative or not finite, or *top_p* is not from 0 to 1.
    """
    most = {"temperature": math.inf, "top_p": 1.0}
    given = {"temperature": temperature, "top_p": top_p}
    found = {name: None if each is None else check_real(name, each) for name, each in given.items()}
    for name, each in found.items():
        if each is not None and not (0 <= each <= most[name] and math.isfinite(each)):
            allowed = "a number, 0 or more" if name == "temperature" else "a number from 0 to 1"
            raise ValueError(f"{name}={each:g}: expected {allowed}")
    return found


def _read_tokens(name: str, run: object) -> _TokenSequence:
    if isinstance(run, str):
        raise TypeError(f"{name} is a text: expected token ids of shape (steps,), or a list of texts")
    read = as_array(name, run)
    if read.ndim != 1 or (read.size and read.dtype.kind not in "iuU"):
        raise TypeError(f"{name} has shape {read.shape}, dtype {read.dtype}: expected integers of (steps)")
    return tuple(to_python_scalar(each) for each in read)


def _find_divergence(runs: Sequence[_TokenSequence]) -> int:
    """The first index at which not all have the same, or some have ended."""
    shortest = min(map(len, runs))
    return next((i for i in range(shortest) if len({run[i] for run in runs}) > 1), shortest)


def compute_logit_gaps(
    logits: NDArray[np.float64], first: Token | None, second: Token | None
) -> tuple[float | None, float]:
    """How far the logits of two tokens are apart, and how far the largest is above the second.

    Args:
        logits: The logits of one step, float64 of shape (vocabulary,), in any unit.
        first: A token id, its index; None or a text: it has no logit.
        second: Another, likewise.
    """
    top = float(np.diff(np.sort(logits)[-2:])[0])
    if not (isinstance(first, int) and isinstance(second, int)):
        return None, top
    return abs(_get_logit(logits, first) - _get_logit(logits, second)), top


def _compute_min_logit_gaps(
    logits: Sequence[object],
    runs: Sequence[_TokenSequence],
    step: int,
    first: Token | None,
    second: Token | None,
) -> tuple[float | None, float | None]:
    rows = [
        _read_step_logits(f"logits[{i}]", logits[i], step) for i, run in enumerate(runs) if step < len(run)
    ]
    for each in (first, second):
        if isinstance(each, str):
            raise TypeError(f"runs holds the text {each!r}: expected token ids where logits are given")
    found = [compute_logit_gaps(row, first, second) for row in rows]
    return min((gap for gap, _ in found if gap is not None), default=None), min(top for _, top in found)


def _read_step_logits(name: str, logits: object, step: int) -> NDArray[np.float64]:
    read = as_array(name, logits)
    if read.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {read.dtype}: expected real numbers")
    if read.ndim != 2 or len(read) <= step or read.shape[1] < 2:
        raise ValueError(
            f"{name} has shape {read.shape}: expected (steps, vocabulary) with more than {step} steps"
        )
    row: NDArray[np.float64] = read[step].astype(np.float64)
    if np.isnan(row).any():
        raise ValueError(f"{name}[{step}] holds a NaN: expected numbers")
    return row


def _get_logit(logits: NDArray[np.float64], token: int) -> float:
    if not 0 <= token < len(logits):
        raise ValueError(f"runs holds token {token}: expected 0 to {len(logits) - 1}, by the logits")
    return float(logits[token])
