"""Reads modules: parameters, buffers, and the tensors that other attributes hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

import torch

from pytest_repro.adapters import find_array_adapter
from pytest_repro.adapters._torch.draws import format_path
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type)
_MAX_DEPTH = 4


@cache
def list_base_attributes() -> Collection[str]:
    """Names of the attributes that every module has."""
    return frozenset(vars(torch.nn.Module()))


def flatten_module(module: torch.nn.Module) -> FlattenResult:
    """The parameters and buffers of *module* by name, then the tensors, arrays and generators of attributes."""
    if "_parameters" not in module.__dict__:
        return "is a module whose __init__ did not finish"
    named = [*module.named_parameters(), *module.named_buffers()]
    items = ((format_path(name), tensor) for name, tensor in named)
    others = _iter_attributes(module, {id(tensor) for _, tensor in named})
    return Parts(type(module).__qualname__, chain(items, others), numeric=True)


def _iter_attributes(module: torch.nn.Module, seen: set[int]) -> Iterator[tuple[str, object]]:
    """Values that no ``state_dict()`` has: the states of a metric of torchmetrics are attributes."""
    base = list_base_attributes()
    for path, part in module.named_modules():
        seen.add(id(part))
        attributes = vars(part)
        for name in sorted(attributes.keys() - base):
            if not isinstance(attributes[name], _PLAIN):
                yield from _iter_tensors(attributes[name], f"{format_path(path)}.{name}", seen)


def _iter_tensors(value: Any, path: str, seen: set[int], depth: int = 0) -> Iterator[tuple[str, object]]:
    """The tensors, arrays, generators and unregistered modules in *value* and its containers, each once."""
    if isinstance(value, _PLAIN) or id(value) in seen or depth > _MAX_DEPTH:
        return
    if isinstance(value, (list, tuple)):
        parts = ((f"[{number}]", part) for number, part in enumerate(value))
    elif isinstance(value, Mapping):
        parts = ((f"[{key!r}]", part) for key, part in value.items() if isinstance(key, (str, int)))
    else:
        seen.add(id(value))
        if isinstance(value, (torch.Tensor, torch.Generator, torch.nn.Module)) or _is_numeric_array(value):
            yield path, value
        return
    for suffix, part in parts:
        yield from _iter_tensors(part, path + suffix, seen, depth + 1)


def _is_numeric_array(value: object) -> bool:
    adapter = find_array_adapter(value)
    return adapter is not None and isinstance(adapter.flatten(value), Leaf)
