"""A sequence of tokens that a model generated, and what it was sampled from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TOKENS_KIND = "tokens"
"""The kind of token sequences of any length."""

Token = int | str | None
"""None: the sequence has ended."""


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """A sequence of tokens to record or return; where runs diverge, its logits are reported.

    The tokens and the sampling settings are compared. The logits are not: they only show how close the two
    candidates are at the token where runs diverge.

    Attributes:
        tokens: Token ids, integers of shape (steps,), or a list of texts.
        logits: Real numbers of shape (steps, vocabulary), or a list of rows, one for each token; or None.
        sampling: Settings such as ``{"temperature": 0.7, "top_p": 0.9}``: numbers, texts and bools. Settings
            that are None are ignored.
    """

    tokens: object
    logits: object = None
    sampling: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenDivergence:
    """The first token in which two sequences differ.

    Attributes:
        candidates: Token of the reference run and of the other; None if that sequence has ended.
        gap: Distance between the logits of the two candidates in the reference run, in the unit of the
            logits; None without logits, or if a sequence has ended.
        top_gap: Distance between the two largest logits there. It differs from *gap* if the tokens were
            sampled, and the candidates are not the two largest.
        sampling: Sampling settings of the reference run.
    """

    candidates: tuple[Token, Token]
    gap: float | None = None
    top_gap: float | None = None
    sampling: Mapping[str, object] = field(default_factory=dict)
