"""Opens a sequence of tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from pytest_repro.core.runs.observation import Leaf, Parts, TokenContext
from pytest_repro.core.runs.token_sequence import TOKENS_KIND, Completion


def flatten_completion(completion: Completion) -> Parts | str:
    """The tokens as one leaf, and each sampling setting; or why it cannot be read."""
    tokens = _parse_tokens(completion.tokens)
    if isinstance(tokens, str):
        return tokens
    sampling = {name: given for name, given in completion.sampling.items() if given is not None}
    logits, count = completion.logits, len(tokens)
    read = None if logits is None else (lambda: _read_logits(logits, count))
    beside = TokenContext({name: _to_json_value(given) for name, given in sampling.items()}, read)
    return Parts(TOKENS_KIND, _token_items(json.dumps(tokens).encode(), beside, sampling))


def _token_items(
    content: bytes, context: TokenContext, sampling: dict[str, object]
) -> Iterator[tuple[str, object]]:
    yield "", Leaf(TOKENS_KIND, "", (), len(content), lambda: (memoryview(content),), token_context=context)
    yield from ((f".{name}", given) for name, given in sampling.items())


def _parse_tokens(value: Any) -> list[int] | list[str] | str:
    found = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(found, (list, tuple)):
        return f"is a {type(value).__qualname__}: token ids of shape (steps,), or a list of texts, are tokens"
    plain = [each.item() if hasattr(each, "item") else each for each in found]
    wrong = next((each for each in plain if isinstance(each, bool) or not isinstance(each, (int, str))), None)
    if wrong is not None:
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        what = f"holds a {type(wrong).__qualname__} in a {type(value).__qualname__}{shape}"
        return f"{what}: integers of shape (steps,), or texts, are tokens; record each sequence by itself"
    return plain


def _read_logits(value: object, token_count: int) -> Leaf:
    from pytest_repro.adapters.numpy import adapter
    from pytest_repro.metrics._arrays import as_array

    read = as_array("logits", value)
    if read.ndim == 3 and read.shape[1] == 1:  # a step of a batch of one: (1, vocabulary)
        read = read[:, 0]
    if read.ndim != 2 or read.dtype.kind not in "iuf" or read.shape[0] != token_count or read.shape[1] < 2:
        allowed = f"expected real numbers of shape ({token_count}, vocabulary), a row for each token"
        raise ValueError(f"logits has shape {read.shape}, dtype {read.dtype}: {allowed}")
    leaf = adapter.flatten(read)
    assert isinstance(leaf, Leaf)
    return leaf


def _to_json_value(value: Any) -> object:
    """*value* as JSON has it."""
    found = value.item() if hasattr(value, "item") else value
    if isinstance(found, (bool, int, str)) or (isinstance(found, float) and math.isfinite(found)):
        return found
    return str(found)
