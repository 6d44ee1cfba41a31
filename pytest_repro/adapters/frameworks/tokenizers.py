"""tokenizers: encodings and tokenizers.

Seeded: nothing: it draws no random numbers, but for the `dropout` of BPE, which cannot be seeded.
Restored: nothing.
Switches: none; `TOKENIZERS_PARALLELISM` is reported if a run changes it.
Read: `encoding.ids`, `encoding.tokens`, `encoding.offsets`, `encoding.overflowing[0].ids`; a tokenizer by its
    definition, as `save()` writes it.
Captured: encodings.
Environment: the version of tokenizers.
Limits: a tokenizer with parts in Python cannot be recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import tokenizers
from tokenizers import Encoding, Tokenizer

from pytest_repro.adapters import Adapter
from pytest_repro.adapters._numpy_arrays import flatten_integers
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_NUMBERS = ("ids", "type_ids", "attention_mask", "special_tokens_mask", "offsets")
_OPTIONAL_NUMBERS = ("word_ids", "sequence_ids")


def _iter_fields(encoding: Encoding) -> Iterator[tuple[str, object]]:
    """Its fields, each of which is one value: a text has hundreds of tokens."""
    for name in _NUMBERS:
        yield f".{name}", flatten_integers(getattr(encoding, name))
    for name in _OPTIONAL_NUMBERS:  # None of special tokens
        yield f".{name}", flatten_integers([-1 if n is None else n for n in getattr(encoding, name)])
    yield ".tokens", json.dumps(encoding.tokens)
    yield ".n_sequences", encoding.n_sequences
    yield ".overflowing", encoding.overflowing


class Tokenizers(Adapter):
    """Encodings by field, tokenizers by their definition."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, Encoding):
            return Parts(kind.__qualname__, _iter_fields(value), numeric=True)
        if issubclass(kind, Tokenizer):
            return Parts(kind.__qualname__, ((".to_str()", value.to_str()),))
        return None

    def environment(self) -> dict[str, str]:
        return {"tokenizers": tokenizers.__version__}


adapter = Tokenizers()
