"""Opens a sequence of tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from pytest_repro.core.runs.observation import Beside, Leaf, Parts
from pytest_repro.core.runs.token_sequence import KIND, Completion


def of_completion(completion: Completion) -> Parts | str:
    """The tokens as one leaf, and each sampling setting; or why it cannot be read."""
    tokens = _tokens(completion.tokens)
    if isinstance(tokens, str):
        return tokens
    sampling = {name: given for name, given in completion.sampling.items() if given is not None}
    logits, count = completion.logits, len(tokens)
    read = None if logits is None else (lambda: _logits(logits, count))
    beside = Beside({name: _plain(given) for name, given in sampling.items()}, read)
    return Parts(KIND, _items(json.dumps(tokens).encode(), beside, sampling))


def _items(content: bytes, beside: Beside, sampling: dict[str, object]) -> Iterator[tuple[str, object]]:
    yield "", Leaf(KIND, "", (), len(content), lambda: (memoryview(content),), beside=beside)
    yield from ((f".{name}", given) for name, given in sampling.items())


def _tokens(given: Any) -> list[int] | list[str] | str:
    found = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(found, (list, tuple)):
        return f"is a {type(given).__qualname__}: token ids of shape (steps,), or a list of texts, are tokens"
    plain = [each.item() if hasattr(each, "item") else each for each in found]
    wrong = next((each for each in plain if isinstance(each, bool) or not isinstance(each, (int, str))), None)
    if wrong is not None:
        shape = f" of shape {tuple(given.shape)}" if hasattr(given, "shape") else ""
        what = f"holds a {type(wrong).__qualname__} in a {type(given).__qualname__}{shape}"
        return f"{what}: integers of shape (steps,), or texts, are tokens; record each sequence by itself"
    return plain


def _logits(given: object, count: int) -> Leaf:
    from pytest_repro.adapters.numpy import adapter
    from pytest_repro.metrics._arrays import array

    read = array("logits", given)
    if read.ndim == 3 and read.shape[1] == 1:  # a step of a batch of one: (1, vocabulary)
        read = read[:, 0]
    if read.ndim != 2 or read.dtype.kind not in "iuf" or read.shape[0] != count or read.shape[1] < 2:
        allowed = f"expected real numbers of shape ({count}, vocabulary), a row for each token"
        raise ValueError(f"logits has shape {read.shape}, dtype {read.dtype}: {allowed}")
    leaf = adapter.opened(read)
    assert isinstance(leaf, Leaf)
    return leaf


def _plain(given: Any) -> object:
    """*given* as JSON has it."""
    found = given.item() if hasattr(given, "item") else given
    if isinstance(found, (bool, int, str)) or (isinstance(found, float) and math.isfinite(found)):
        return found
    return str(found)
