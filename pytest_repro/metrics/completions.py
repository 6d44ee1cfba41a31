"""Compares the token sequences of several runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arguments import check_real, format_percent
from pytest_repro.metrics._arrays import as_array, to_python_scalar

Token = int | str


@dataclass(frozen=True, slots=True)
class Tokens:
    """How the token sequences of several runs compare.

    Attributes:
        distinct: Number of different completions.
        share: Share of the runs with the most frequent one.
        first_index: Index of the first token that differs between runs; None if all are equal.
        candidates: The two most frequent tokens there, in the order of the runs if equally frequent;
            None instead of a token if the completion had ended.
        gap: Smallest distance over the runs of the logits of the two candidates there; None without
            logits, or if a completion had ended.
        top_gap: Smallest distance of the two largest logits there. If the candidates are not the two
            largest, the tokens were sampled.
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
    """Counts the completions of several runs, and finds where they first differ.

    Up to the first differing index all runs have read the same tokens, so the gap there explains the
    difference: a gap below the rounding of the logits, or a sampled token.

    Args:
        runs: Token ids of two or more runs, integers of shape (steps,); or lists of text. Lengths
            may differ.
        logits: For each run, real numbers of shape (steps, vocabulary), indexed by token id. Only the
            first differing step is read.

    Raises:
        TypeError: *runs* does not hold tokens, *logits* does not hold numbers, or there are logits for
            text.
        ValueError: There are fewer than two runs, another number of logits, or logits that do not
            reach the first differing step or hold a NaN there.
    """
    sequences = [_read_tokens(f"runs[{i}]", run) for i, run in enumerate(runs)]
    n = len(sequences)
    if n < 2:
        raise ValueError(f"runs holds {n}: expected 2 or more")
    if logits is not None and len(logits) != n:
        raise ValueError(f"logits holds {len(logits)}: expected one for each of the {n} runs")
    counts = Counter(sequences)
    share = counts.most_common(1)[0][1] / n
    if len(counts) == 1:
        return Tokens(n, 1, share)
    shortest = min(map(len, sequences))
    step = next((i for i in range(shortest) if len({run[i] for run in sequences}) > 1), shortest)
    candidates = Counter(run[step] if step < len(run) else None for run in sequences)
    (one, _), (two, _) = candidates.most_common(2)
    if logits is None:
        return Tokens(n, len(counts), share, step, (one, two))
    rows = [_read_step_logits(i, each, step) for i, each in enumerate(logits) if step < len(sequences[i])]
    for token in (one, two):
        if isinstance(token, str):
            raise TypeError(f"runs holds the text {token!r}: expected token ids, as there are logits")
    gaps = [compute_logit_gaps(row, one, two) for row in rows]
    gap = min((gap for gap, _ in gaps if gap is not None), default=None)
    return Tokens(n, len(counts), share, step, (one, two), gap, min(top for _, top in gaps))


def check_sampling(temperature: object, top_p: object) -> dict[str, float | None]:
    """Sampling settings, checked; None for one that is not given.

    Raises:
        TypeError: A setting is not a number.
        ValueError: *temperature* is negative or not finite, or *top_p* is not from 0 to 1.
    """
    settings = {"temperature": temperature, "top_p": top_p}
    checked = {name: None if v is None else check_real(name, v) for name, v in settings.items()}
    for name, value in checked.items():
        largest = math.inf if name == "temperature" else 1.0
        if value is not None and not (0 <= value <= largest and math.isfinite(value)):
            allowed = "a number, 0 or more" if name == "temperature" else "a number from 0 to 1"
            raise ValueError(f"{name}={value:g}: expected {allowed}")
    return checked


def _read_tokens(name: str, run: object) -> tuple[Token, ...]:
    if isinstance(run, str):
        raise TypeError(f"{name} is text: expected token ids of shape (steps,), or a list of text")
    read = as_array(name, run)
    if read.ndim != 1 or (read.size and read.dtype.kind not in "iuU"):
        raise TypeError(f"{name} has shape {read.shape}, dtype {read.dtype}: expected integers of (steps)")
    return tuple(to_python_scalar(each) for each in read)


def compute_logit_gaps(
    logits: NDArray[np.float64], first: Token | None, second: Token | None
) -> tuple[float | None, float]:
    """The distance of the *logits*, of shape (vocabulary,), of two tokens, and of the two largest.

    Tokens that are None or text have no logit.
    """
    top = float(np.diff(np.sort(logits)[-2:])[0])
    if not (isinstance(first, int) and isinstance(second, int)):
        return None, top
    return abs(_get_logit(logits, first) - _get_logit(logits, second)), top


def _read_step_logits(run: int, logits: object, step: int) -> NDArray[np.float64]:
    name = f"logits[{run}]"
    read = as_array(name, logits)
    if read.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {read.dtype}: expected real numbers")
    if read.ndim != 2 or len(read) <= step or read.shape[1] < 2:
        expected = f"(steps, vocabulary) with more than {step} steps"
        raise ValueError(f"{name} has shape {read.shape}: expected {expected}")
    row: NDArray[np.float64] = read[step].astype(np.float64)
    if np.isnan(row).any():
        raise ValueError(f"{name}[{step}] holds a NaN: expected numbers")
    return row


def _get_logit(logits: NDArray[np.float64], token: int) -> float:
    if not 0 <= token < len(logits):
        raise ValueError(f"runs holds token {token}: expected 0 to {len(logits) - 1}, by the logits")
    return float(logits[token])
