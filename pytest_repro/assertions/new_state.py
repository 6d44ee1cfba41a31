"""State that a training makes in its first steps: it is absent at first, or None."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from pytest_repro.adapters import find_kind_name
from pytest_repro.adapters._find_generators import walk_reachable
from pytest_repro.assertions.plain_values import copy_graph_arrays, is_plain, list_members, set_member
from pytest_repro.assertions.training_state import (
    ROOT,
    StatePart,
    format_name,
    list_tensors,
    split_state,
    suggest_fix,
)

_CODE_TYPES = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)


def find_new_parts(state: object, trained_state: object) -> Iterator[StatePart]:
    """What *trained_state* has, and *state*, which was just made, lacks or has as None.

    Restoring such a part gives *state* a copy that refers to the objects of *state*, as an optimizer refers
    to parameters.
    """
    objects = _list_objects(state)
    memo = _map_objects(_list_objects(trained_state), objects)
    for path, owner, is_part in split_state(trained_state):
        here = objects.get(path)
        if is_part or type(here) is not type(owner) or (path != ROOT and is_plain(owner)):
            continue
        members = {name: value for _, name, value in list_members(here)}
        for suffix, name, value in list_members(owner):
            # A plain value that replaces None is a part of both.
            is_known = members.get(name) is not None or (name in members and is_plain(value))
            if value is not None and not is_known and not isinstance(value, _CODE_TYPES):
                restore, found = partial(_restore, here, name, value, memo), f"{path}{suffix}"
                label, fix = format_name(found, value), suggest_fix(value)
                yield StatePart(found, label, lambda: None, restore, fix, learnt=False)


def _restore(owner: Any, name: Any, value: Any, memo: dict[int, Any], saved: object) -> None:
    with suppress(Exception):  # it cannot be copied, as an iterator over a loader cannot
        memo |= copy_graph_arrays(part for _, part in walk_reachable([("", value)]))
        set_member(owner, name, deepcopy(value, memo))


def _list_objects(state: object) -> dict[str, Any]:
    """The objects of *state*, by path."""
    objects = dict(walk_reachable([(ROOT, state)]))
    for path, value, _ in split_state(state):
        objects.setdefault(path, value)
        if find_kind_name(value) == "module":
            objects |= {f"{path}.{name}": tensor for name, tensor in list_tensors(value).items()}
    return objects


def _map_objects(objects: Mapping[str, Any], others: Mapping[str, Any]) -> dict[int, Any]:
    """A memo for :func:`~copy.deepcopy` that replaces *objects* by *others* at the same paths."""
    pairs = ((value, others.get(path)) for path, value in objects.items())
    return {id(value): other for value, other in pairs if type(value) is type(other)}
