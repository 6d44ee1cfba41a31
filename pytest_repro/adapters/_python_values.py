"""Reads values of the standard library: numbers, text, dates, paths, containers."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import struct
from collections import deque
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import chain
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

from pytest_repro.core.runs.observation import TOKENS_KIND, Completion, Leaf, Parts, TokenContext, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult

_PLAIN_KEYS = (str, int, float, bool, type(None), bytes, Enum, tuple)
_INT64_MIN, _INT64_STOP = -(2**63), 2**63


def _encode_number(kind: type, value: Any) -> tuple[str, bytes]:
    """Dtype and bytes of a number; of its text, with dtype ``""``, if no dtype can hold it."""
    if kind is bool:
        return "bool", bytes([value])
    if issubclass(kind, int):
        fits = _INT64_MIN <= int(value) < _INT64_STOP
        return ("int64", int(value).to_bytes(8, "little", signed=True)) if fits else ("", b"%x" % int(value))
    if issubclass(kind, float):
        return "float64", struct.pack("<d", value)
    if issubclass(kind, complex):
        return "complex128", struct.pack("<dd", value.real, value.imag)
    return "", str(value).encode()


def read_float(value: object) -> tuple[object, bytes]:
    return float, struct.pack("<d", value)


def read_int(value: Any) -> tuple[object, bytes] | None:
    return (int, value.to_bytes(8, "little", signed=True)) if _INT64_MIN <= value < _INT64_STOP else None


def _flatten_scalar(kind: type, value: Any) -> Leaf | None:
    if issubclass(kind, (bool, int, float, complex, Decimal, Fraction)):
        dtype, content = _encode_number(kind, value)
        return make_leaf(kind.__name__, content, dtype)
    if issubclass(kind, str):
        return make_leaf("str", value)
    if issubclass(kind, (bytes, bytearray)):
        return make_leaf("bytes" if issubclass(kind, bytes) else "bytearray", bytes(value))
    if value is None:
        return make_leaf("None", b"None")
    formatter = next((each for base, each in _FORMATTERS.items() if issubclass(kind, base)), None)
    return None if formatter is None else make_leaf(kind.__name__, formatter(value))


def _format_with_zone(moment: datetime | time) -> str:
    zone = getattr(moment.tzinfo, "key", None) or moment.tzname()
    return f"{moment.isoformat()} {zone} fold {moment.fold}" if moment.tzinfo else moment.isoformat()


_FORMATTERS: dict[type, Callable[[Any], str]] = {
    datetime: _format_with_zone,
    date: date.isoformat,
    time: _format_with_zone,
    timedelta: str,
    range: str,
    PurePath: str,
}
"""Text that says all of a value."""


def _flatten_state(generator: Any) -> Leaf:
    """The state of a ``random.Random`` as one leaf: 624 words, their position, the next Gaussian."""
    words, gaussian = generator.getstate()[1:]
    content = struct.pack(f"<{len(words)}Id", *words, 0.0 if gaussian is None else gaussian)
    count = len(content) // 4
    return Leaf(f"uint32[{count}]", "uint32", (count,), len(content), lambda: (memoryview(content),))


def _find_unordered_type(key: object) -> type | None:
    """The first type in *key* that cannot be sorted by its repr, which may hold an address."""
    if isinstance(key, tuple):
        return next((kind for part in key if (kind := _find_unordered_type(part)) is not None), None)
    return None if isinstance(key, _PLAIN_KEYS) else type(key)


def _format_key(key: object) -> str:
    return f"[{_format_member(key)}]" if isinstance(key, Enum) else f"[{key!r}]"


def format_plain_key(key: object) -> str | None:
    """``['lr']``; None for a key whose repr may hold an address."""
    return _format_key(key) if _find_unordered_type(key) is None else None


def _format_member(value: Any) -> str:
    """``Mode.FAST``; a combined flag without a name (Python 3.10) by its number."""
    return f"{type(value).__qualname__}.{value.name or value.value}"


def _flatten_dict(value: dict[Any, Any]) -> FlattenResult:
    unordered = _find_unordered_type(tuple(value))
    if unordered is not None:
        return f"has a key of type {unordered.__qualname__}: only plain keys have a fixed order"
    items = sorted(value.items(), key=lambda item: (type(item[0]).__name__, _format_key(item[0])))
    return Parts(type(value).__qualname__, ((_format_key(key), part) for key, part in items))


def _flatten_set(value: set[Any] | frozenset[Any]) -> Leaf | str:
    from pytest_repro.adapters import digest

    try:
        members = "".join(sorted(digest(member) for member in value))
    except TypeError as error:
        return f"has a member that cannot be recorded: {error}"
    return make_leaf(f"{type(value).__name__}[{len(value)}]", members)


def _flatten_dataclass(value: Any) -> Parts:
    names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    return Parts(type(value).__qualname__, ((f".{name}", getattr(value, name)) for name in names))


def _flatten_sequence(value: Any) -> Parts:
    kind = type(value).__qualname__
    fields = getattr(type(value), "_fields", None)
    if isinstance(value, tuple) and fields is not None:
        return Parts(kind, ((f".{name}", part) for name, part in zip(fields, value)))
    items: Iterator[tuple[str, object]] = ((f"[{index}]", part) for index, part in enumerate(value))
    limit = [(".maxlen", value.maxlen)] if isinstance(value, deque) and value.maxlen is not None else []
    return Parts(kind, chain(items, limit))


def flatten_value(value: object) -> FlattenResult:
    """*value* as a leaf or as parts, why it cannot be read, or None if it is not of the standard library."""
    if isinstance(value, Leaf):  # a part that an adapter made
        return value
    kind = type(value)  # not isinstance: a mock may be an instance of any class
    if issubclass(kind, Enum):
        return make_leaf(kind.__qualname__, _format_member(value))
    if issubclass(kind, dict):
        return _flatten_dict(value)  # type: ignore[arg-type]
    if issubclass(kind, (list, tuple, deque)):
        return _flatten_sequence(value)
    if issubclass(kind, (set, frozenset)):
        return _flatten_set(value)  # type: ignore[arg-type]
    if issubclass(kind, random.Random) and kind is not random.SystemRandom:
        return Parts("random.Random", ((".state", _flatten_state(value)),), numeric=True)
    if kind is Completion:
        return flatten_completion(value)  # type: ignore[arg-type]
    if issubclass(kind, SimpleNamespace):
        return Parts(kind.__qualname__, ((f".{name}", part) for name, part in sorted(vars(value).items())))
    if dataclasses.is_dataclass(kind):
        return _flatten_dataclass(value)
    return _flatten_scalar(kind, value)


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
