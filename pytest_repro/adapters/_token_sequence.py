"""Reads generated tokens with their sampling settings and logits."""

from __future__ import annotations

import json
import math
from typing import Any

from pytest_repro.core.runs.observation import TOKENS_KIND, Completion, Leaf, Parts, TokenContext


def flatten_completion(completion: Completion) -> Parts | str:
    """The tokens as one leaf, and each sampling setting; or why they cannot be read."""
    tokens = _parse_tokens(completion.tokens)
    if isinstance(tokens, str):
        return tokens
    sampling = {name: setting for name, setting in completion.sampling.items() if setting is not None}
    logits, count = completion.logits, len(tokens)
    load_logits = None if logits is None else (lambda: _read_logits(logits, count))
    context = TokenContext({name: _to_json_value(each) for name, each in sampling.items()}, load_logits)
    content = json.dumps(tokens).encode()
    leaf = Leaf(TOKENS_KIND, "", (), len(content), lambda: (memoryview(content),), token_context=context)
    return Parts(TOKENS_KIND, [("", leaf), *((f".{name}", setting) for name, setting in sampling.items())])


def _parse_tokens(value: Any) -> list[int] | list[str] | str:
    items = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(items, (list, tuple)):
        return f"is a {type(value).__qualname__}: expected token ids of shape (steps,) or a list of strings"
    tokens = [item.item() if hasattr(item, "item") else item for item in items]
    invalid = next((t for t in tokens if isinstance(t, bool) or not isinstance(t, (int, str))), None)
    if invalid is not None:
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        problem = f"holds a {type(invalid).__qualname__} in a {type(value).__qualname__}{shape}"
        return f"{problem}: expected integers of shape (steps,) or strings; record each sequence separately"
    return tokens


def _read_logits(value: object, token_count: int) -> Leaf:
    from pytest_repro.adapters.numpy import adapter
    from pytest_repro.metrics._arrays import as_array

    logits = as_array("logits", value)
    if logits.ndim == 3 and logits.shape[1] == 1:  # steps of a batch of one: (steps, 1, vocabulary)
        logits = logits[:, 0]
    is_real, shape = logits.dtype.kind in "iuf", logits.shape
    if logits.ndim != 2 or not is_real or shape[0] != token_count or shape[1] < 2:
        expected = f"expected real numbers of shape ({token_count}, vocabulary), one row per token"
        raise ValueError(f"logits has shape {shape}, dtype {logits.dtype}: {expected}")
    leaf = adapter.flatten(logits)
    assert isinstance(leaf, Leaf)
    return leaf


def _to_json_value(value: Any) -> object:
    scalar = value.item() if hasattr(value, "item") else value
    if isinstance(scalar, (bool, int, str)) or (isinstance(scalar, float) and math.isfinite(scalar)):
        return scalar
    return str(scalar)
