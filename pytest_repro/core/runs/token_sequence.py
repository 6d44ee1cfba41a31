"""A sequence of tokens that a model gave, and what it was sampled from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TOKENS_KIND = "tokens"
"""The kind of a sequence of tokens, whatever its length."""

Token = int | str | None
"""None: the sequence had ended."""


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """A sequence of tokens, to be recorded or returned: where it parts, the logits there are told.

    Compared are the tokens, and the sampling settings; not the logits, which are there to say how
    close the two candidates are where two runs part.

    Attributes:
        tokens: Token ids of shape (steps,), integers; or a list of texts.
        logits: What they were taken from, real numbers of shape (steps, vocabulary), or a list of
            rows, one for each token; None where there are none.
        sampling: ``{"temperature": 0.7, "top_p": 0.9}``: told where runs part; numbers, texts, truth
            values; those that are None are left out.
    """

    tokens: object
    logits: object = None
    sampling: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenDivergence:
    """Where two sequences of tokens part.

    Attributes:
        candidates: The reference's token there, and the other's; None: that one had ended.
        gap: How far the logits of the two are apart there in the reference run, in the unit of the
            logits; None without logits, or where a sequence had ended.
        top_gap: How far the largest logit is above the second there, likewise: where the candidates
            are not the two largest, the tokens were sampled.
        sampling: The sampling settings of the reference run.
    """

    candidates: tuple[Token, Token]
    gap: float | None = None
    top_gap: float | None = None
    sampling: Mapping[str, object] = field(default_factory=dict)
