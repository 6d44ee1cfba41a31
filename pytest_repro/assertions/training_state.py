"""The state of a training as parts that can be read and restored."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any, NamedTuple, Protocol

from pytest_repro.adapters import digest, find_kind_name
from pytest_repro.adapters._find_generators import find_generators, walk_reachable
from pytest_repro.assertions.plain_values import (
    PlainValue,
    find_module_values,
    find_plain_values,
    is_learnt,
    is_parameter_alias,
)

ROOT_NAME = "state"


class StateAccess(Protocol):
    """Reads and restores a part of the state."""

    def read(self) -> Any:
        """A copy of the current state."""

    def restore(self, saved: Any) -> None:
        """Restores what :meth:`read` returned, as far as possible."""


class StatePart(NamedTuple):
    """A part of the state of a training.

    Attributes:
        name: ``"state.optimizer (Adam)"``, ``"torch cpu"``.
        access: Reads and restores it.
        learnt: Whether it is compared between trainings: modules, optimizers, tensors, objects with a
            ``state_dict``; not the states of generators, nor counters.
        fix: Code that saves and loads it.
    """

    name: str
    access: StateAccess
    learnt: bool
    fix: str

    @property
    def is_collection(self) -> bool:
        """Whether it is a list, tuple or dict of plain values."""
        return isinstance(self.access, PlainValue) and isinstance(
            self.access.value, (list, tuple, dict, deque)
        )


class _ModuleAccess(NamedTuple):
    module: Any

    def _get_tensors(self) -> dict[str, Any]:
        """Parameters and all buffers, also those that the ``state_dict`` excludes."""
        return {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}

    def read(self) -> Any:
        return {name: tensor.detach().clone() for name, tensor in self._get_tensors().items()}

    def restore(self, saved: Any) -> None:
        for name, tensor in self._get_tensors().items():
            if name in saved and saved[name].shape == tensor.shape:
                tensor.detach().copy_(saved[name])


class _StateDictAccess(NamedTuple):
    owner: Any

    def read(self) -> Any:
        return deepcopy(self.owner.state_dict())

    def restore(self, saved: Any) -> None:
        self.owner.load_state_dict(deepcopy(saved))


def state_parts(state: object) -> list[StatePart]:
    """The parts of *state* and the global generators, in the order of restoring."""
    parts, module_ids, closed = list[StatePart](), set[int](), list[str]()
    plain: list[PlainValue] = []
    value: Any
    for path, value in walk_reachable([(ROOT_NAME, state)]):
        if id(value) in module_ids:
            continue
        is_module = find_kind_name(value) == "module"
        if is_module:
            module_ids.update(map(id, (*value.modules(), *value.parameters(), *value.buffers())))
        if is_module or (path != ROOT_NAME and _is_stateful(value)):
            closed.append(path)
            access: StateAccess = _ModuleAccess(value) if is_module else _StateDictAccess(value)
            name = _format_name(path, value)
            parts.append(StatePart(name, access, True, ".state_dict(), .load_state_dict(…)"))
            plain += find_module_values(path, value) if is_module else ()
        elif not any(path.startswith((f"{part}.", f"{part}[")) for part in closed):
            plain += find_plain_values(path, value, path == ROOT_NAME)
    for each in plain:
        if not is_parameter_alias(each.value, module_ids):
            parts.append(
                StatePart(_format_name(each.path, each.value), each, is_learnt(each.value), "its value")
            )
    for generator in find_generators([(ROOT_NAME, state)]):
        hint = generator.adapter.state_api_hint(generator.generator)
        parts.append(StatePart(generator.name, generator, False, hint))
    return parts


def _format_name(path: str, value: object) -> str:
    return f"{path} ({type(value).__qualname__})"


def _is_stateful(value: object) -> bool:
    kind = type(value)
    return callable(getattr(kind, "state_dict", None)) and callable(getattr(kind, "load_state_dict", None))


def flatten_recordable(saved: Any) -> dict[str, object]:
    """The recordable values in a part, by path."""
    recordable: dict[str, object] = {}
    todo = [("", saved)]
    while todo:
        path, value = todo.pop(0)
        if isinstance(value, (dict, list, tuple, deque)) and value:
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            todo += [(f"{path}[{key!r}]", item) for key, item in items]
            continue
        with suppress(TypeError):
            digest(value)
            recordable[path] = value
    return recordable


def fingerprint(saved: Any) -> dict[str, str]:
    """Digests of the recordable values in a part, by path."""
    return {path: digest(value) for path, value in flatten_recordable(saved).items()}
