"""The state of a training, part by part: what can be read of it, and be put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any, NamedTuple, Protocol

from pytest_repro.adapters import digest
from pytest_repro.adapters._find_generators import Seen, reached, seen
from pytest_repro.assertions.plain_values import Plain, beside_modules, is_again, learnt, plain_of

ROOT = "state"


class Holder(Protocol):
    """Holds what is read and put back."""

    def read(self) -> Any:
        """A copy of what it holds now."""

    def put(self, saved: Any) -> None:
        """Puts back what :meth:`read` gave, as far as it is here."""


class Part(NamedTuple):
    """A part of the state of a training.

    Attributes:
        name: ``"state.optimizer (Adam)"``, ``"torch cpu"``.
        holder: Reads it, and puts it back.
        learnt: Whether it counts when trainings are compared: modules, optimisers, tensors, whatever
            has a ``state_dict``; not where a generator stands, nor a counter.
        fix: How it is saved and loaded, in code.
    """

    name: str
    holder: Holder
    learnt: bool
    fix: str

    @property
    def collects(self) -> bool:
        """Whether it is a list, tuple or dict of plain values."""
        return isinstance(self.holder, Plain) and isinstance(self.holder.value, (list, tuple, dict, deque))


class _Module(NamedTuple):
    module: Any

    def _tensors(self) -> dict[str, Any]:
        """Also buffers that no ``state_dict`` holds, since they were registered so."""
        return {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}

    def read(self) -> Any:
        return {name: tensor.detach().clone() for name, tensor in self._tensors().items()}

    def put(self, saved: Any) -> None:
        for name, tensor in self._tensors().items():
            if name in saved and saved[name].shape == tensor.shape:
                tensor.detach().copy_(saved[name])


class _Stateful(NamedTuple):
    owner: Any

    def read(self) -> Any:
        return deepcopy(self.owner.state_dict())

    def put(self, saved: Any) -> None:
        self.owner.load_state_dict(deepcopy(saved))


class _Generator(NamedTuple):
    seen: Seen

    def read(self) -> Any:
        return self.seen.adapter.standing(self.seen.generator)

    def put(self, saved: Any) -> None:
        self.seen.adapter.stand(self.seen.generator, saved)


def state_parts(state: object) -> list[Part]:
    """The parts of *state*, and the global generators, in the order in which they are put back."""
    found, inside, closed = list[Part](), set[int](), list[str]()
    plain: list[Plain] = []
    value: Any
    for path, value in reached([(ROOT, state)]):
        if id(value) in inside:
            continue
        if _is_module(value):
            inside.update(map(id, (*value.modules(), *value.parameters(), *value.buffers())))
        if _is_module(value) or (path != ROOT and _is_stateful(value)):
            closed.append(path)
            holder: Holder = _Module(value) if _is_module(value) else _Stateful(value)
            found.append(Part(_called(path, value), holder, True, ".state_dict(), .load_state_dict(…)"))
            plain += beside_modules(path, value) if _is_module(value) else ()
        elif not any(path.startswith((f"{each}.", f"{each}[")) for each in closed):
            plain += plain_of(path, value, path == ROOT)
    every = seen([(ROOT, state)])
    generators = (
        Part(each.name, _Generator(each), False, each.adapter.saved_by(each.generator)) for each in every
    )
    beside = (
        Part(_called(each.path, each.value), each, learnt(each.value), "its value")
        for each in plain
        if not is_again(each.value, inside)
    )
    return [*found, *beside, *generators]


def _called(path: str, value: object) -> str:
    return f"{path} ({type(value).__qualname__})"


def _is_module(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "named_parameters") and hasattr(kind, "named_buffers") and hasattr(kind, "modules")


def _is_stateful(value: object) -> bool:
    kind = type(value)
    return callable(getattr(kind, "state_dict", None)) and callable(getattr(kind, "load_state_dict", None))


def readable(saved: Any) -> dict[str, object]:
    """What of a part can be recorded, by path."""
    found: dict[str, object] = {}
    todo = [("", saved)]
    while todo:
        path, value = todo.pop(0)
        if isinstance(value, (dict, list, tuple, deque)) and value:
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            todo += [(f"{path}[{key!r}]", each) for key, each in items]
            continue
        with suppress(TypeError):
            digest(value)
            found[path] = value
    return found


def marks(saved: Any) -> dict[str, str]:
    """Digests of what can be read of a part, by path."""
    return {path: digest(value) for path, value in readable(saved).items()}
