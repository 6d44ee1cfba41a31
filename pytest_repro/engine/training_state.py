"""The state of a training, part by part: what can be read of it, and be put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any, NamedTuple, Protocol

from pytest_repro.adapters import digest
from pytest_repro.adapters._seen import Seen, names_of, reached, seen

ROOT = "state"
_LARGE = 2**26
"""Bytes from which on an array beside the modules is taken for data: it is not copied."""


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


class _Plain(NamedTuple):
    owner: Any
    name: str
    value: Any

    def read(self) -> Any:
        return self.value.detach().clone() if hasattr(self.value, "detach") else deepcopy(self.value)

    def put(self, saved: Any) -> None:
        now, same = self.value, getattr(self.value, "shape", None) == getattr(saved, "shape", None)
        if same and hasattr(now, "detach"):
            now.detach().copy_(saved)  # an optimiser may hold the tensor itself
        elif same and _array(now):
            now[...] = saved
        elif isinstance(self.owner, dict):
            self.owner[self.name] = deepcopy(saved)
        else:
            setattr(self.owner, self.name, deepcopy(saved))


def state_parts(state: object) -> list[Part]:
    """The parts of *state*, and the global generators, in the order in which they are put back."""
    found, inside, closed = list[Part](), set[int](), list[str]()
    plain: list[Part] = []
    value: Any
    for path, value in reached([(ROOT, state)]):
        if id(value) in inside:
            continue
        if _is_module(value):
            inside.update(id(each) for each in value.modules())
        if _is_module(value) or (path != ROOT and _is_stateful(value)):
            closed.append(path)
            holder: Holder = _Module(value) if _is_module(value) else _Stateful(value)
            found.append(Part(_called(path, value), holder, True, ".state_dict(), .load_state_dict(…)"))
        elif not any(path.startswith((f"{each}.", f"{each}[")) for each in closed):
            plain += _plain_of(path, value)
    every = seen([(ROOT, state)])
    generators = (
        Part(each.name, _Generator(each), False, each.adapter.saved_by(each.generator)) for each in every
    )
    return [*found, *plain, *generators]


def _plain_of(path: str, owner: Any) -> Iterator[Part]:
    """Numbers, texts and arrays, and collections of them, that are attributes or items of *owner*."""
    if path != ROOT and _is_plain(owner):
        return  # a part of what holds it already
    keyed = isinstance(owner, dict)
    items = list(owner.items()) if keyed else [(name, getattr(owner, name)) for name in _attributes(owner)]
    for name, value in items:
        if isinstance(name, str) and _is_plain(value) and _nbytes(value) <= _LARGE:
            called = f"{path}[{name!r}]" if keyed else f"{path}.{name}"
            learnt = hasattr(value, "detach") or _array(value)
            yield Part(_called(called, value), _Plain(owner, name, value), learnt, "its value")


def _attributes(owner: Any) -> list[str]:
    """Names of what an instance holds by itself and lets be set."""
    slots = [name for kind in type(owner).__mro__ for name in names_of(vars(kind).get("__slots__", ()))]
    return [*getattr(owner, "__dict__", ()), *(name for name in slots if hasattr(owner, name))]


def _called(path: str, value: object) -> str:
    return f"{path} ({type(value).__qualname__})"


def _is_module(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "named_parameters") and hasattr(kind, "named_buffers") and hasattr(kind, "modules")


def _is_stateful(value: object) -> bool:
    kind = type(value)
    return callable(getattr(kind, "state_dict", None)) and callable(getattr(kind, "load_state_dict", None))


def _array(value: object) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "__setitem__") and hasattr(value, "shape")


def _nbytes(value: Any) -> int:
    return int(getattr(value, "nbytes", 0)) if hasattr(value, "shape") else 0


def _is_plain(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in (bool, int, float, complex, str, bytes, type(None)) or _array(value):
        return True
    if hasattr(kind, "detach") and hasattr(kind, "requires_grad"):
        return bool(value.is_leaf)  # another one hangs on the graph that made it
    if depth > 4 or kind not in (list, tuple, dict, set, deque):
        return False
    return all(_is_plain(each, depth + 1) for each in (value.values() if kind is dict else value))


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
