"""Reads modules: parameters, buffers, and the tensors that other attributes hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from itertools import chain

import torch

from pytest_repro.adapters._held_arrays import iter_held_arrays
from pytest_repro.adapters._torch.draws import format_path
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_VALUES = (torch.Tensor, torch.Generator, torch.nn.Module)


@cache
def list_base_attributes() -> Collection[str]:
    """Names of the attributes that every module has."""
    return frozenset(vars(torch.nn.Module()))


def flatten_module(module: torch.nn.Module) -> FlattenResult:
    """The parameters and buffers of *module* by name, then tensors, arrays and generators in attributes."""
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
            for suffix, value in iter_held_arrays(attributes[name], f".{name}", seen, _VALUES):
                yield f"{format_path(path)}{suffix}", value
