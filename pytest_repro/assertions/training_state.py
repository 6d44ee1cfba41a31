"""The state of a training as parts that can be read and restored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

from pytest_repro.adapters import digest, find_generator_adapter, find_kind_name
from pytest_repro.adapters._find_generators import find_generators, walk_reachable
from pytest_repro.assertions.plain_values import (
    PlainValue,
    find_plain_values,
    has_graph,
    is_parameter_alias,
    iter_arrays,
)

ROOT = "state"


class StatePart(NamedTuple):
    """A part of the state of a training.

    Attributes:
        path: Where it is, ``"state.optimizer"``; of a generator its name. The same in each state.
        learnt: Whether it is compared between trainings: modules, optimizers, tensors, objects with a
            ``state_dict``; not the states of generators, nor counters.
    """

    path: str
    name: str  # ``"state.optimizer (Adam)"``, ``"torch cpu"``
    read: Callable[[], Any]  # returns a copy of its current state
    restore: Callable[[Any], None]  # restores what *read* returned, as far as possible
    fix: str  # code that saves and loads it
    learnt: bool = True
    is_collection: bool = False  # whether it is a list, tuple or dict of plain values


class MissingState(NamedTuple):
    """What a checkpoint lacks, as far as known.

    Attributes:
        changed_by_save: Names of the learnt parts that *save* changed before saving them.
    """

    parts: tuple[StatePart, ...] = ()  # parts without which training does not continue as it would have
    pause_differs: bool = False  # whether a pause without saving and loading makes a difference already
    unexplained: bool = False  # whether restoring all visible state was not enough
    changed_by_save: tuple[str, ...] = ()


def list_state_parts(state: object) -> list[StatePart]:
    """The parts of *state* and the global generators, in the order of restoring."""
    parts, module_ids = list[StatePart](), set[int]()
    plain: list[PlainValue] = []
    for path, value, is_part in split_state(state):
        if is_part:
            is_module = find_kind_name(value) == "module"
            if is_module:
                module_ids.update(map(id, (*value.parameters(), *value.buffers())))
            read, restore = (
                (_read_module, _restore_module) if is_module else (_read_state_dict, _restore_state_dict)
            )
            copy, put_back = partial(read, value), partial(restore, value)
            parts.append(StatePart(path, format_name(path, value), copy, put_back, suggest_fix(value)))
        else:
            plain += find_plain_values(path, value, path == ROOT)
    parts += [_make_part(each) for each in plain if not is_parameter_alias(each.value, module_ids)]
    for found in find_generators([(ROOT, state)]):
        fix = suggest_fix(found.generator)
        parts.append(StatePart(found.name, found.name, found.read, found.restore, fix, learnt=False))
    return parts


def _make_part(plain: PlainValue) -> StatePart:
    value, path, arrays = plain.value, plain.path, list(iter_arrays(plain.value))
    # A list of scalars is a history, for example of losses; with a graph it is a result.
    has_rows = any(array is value or len(array.shape) > 0 for array in arrays)
    learnt, name = has_rows and not any(map(has_graph, arrays)), format_name(path, value)
    is_collection = isinstance(value, (list, tuple, dict, deque))
    return StatePart(path, name, plain.read, plain.restore, suggest_fix(value), learnt, is_collection)


def split_state(state: object) -> Iterator[tuple[str, Any, bool]]:
    """Paths and objects in *state*, and whether each is a part: a module, or an owner of a ``state_dict``.

    The others own plain values. So do a module and its submodules, which come after it; nothing else inside a
    part does.
    """
    inner_ids, closed = set[int](), list[str]()
    value: Any
    for path, value in walk_reachable([(ROOT, state)]):
        if id(value) in inner_ids:
            continue
        is_module = find_kind_name(value) == "module"
        if is_module or (path != ROOT and _has_state_dict(value)):
            closed.append(path)
            yield path, value, True
            for name, submodule in value.named_modules() if is_module else ():
                yield f"{path}.{name}" if name else path, submodule, False
                inner_ids.update(map(id, (submodule, *submodule.parameters(), *submodule.buffers())))
        elif not any(path.startswith((f"{part}.", f"{part}[")) for part in closed):
            yield path, value, False


def _has_state_dict(value: object) -> bool:
    return all(callable(getattr(type(value), name, None)) for name in ("state_dict", "load_state_dict"))


def suggest_fix(value: object) -> str:
    """The code that saves and loads *value*."""
    if find_kind_name(value) == "module" or _has_state_dict(value):
        return ".state_dict(), .load_state_dict(…)"
    adapter = find_generator_adapter(value)
    return "its value" if adapter is None else adapter.state_api_hint(value)


def format_name(path: str, value: object) -> str:
    """``"state.optimizer (Adam)"``."""
    return f"{path} ({type(value).__qualname__})"


def list_tensors(module: Any) -> dict[str, Any]:
    """Parameters and all buffers, also those that the ``state_dict`` excludes."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _read_module(module: Any) -> dict[str, Any]:
    return {name: tensor.detach().clone() for name, tensor in list_tensors(module).items()}


def _restore_module(module: Any, saved: dict[str, Any]) -> None:
    tensors = list_tensors(module)
    for name, value in saved.items():
        if name not in tensors:  # a buffer that is None at first
            owner, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(owner), attribute, value)
        elif value.shape == tensors[name].shape:
            tensors[name].detach().copy_(value)


def _read_state_dict(owner: Any) -> Any:
    return deepcopy(owner.state_dict())


def _restore_state_dict(owner: Any, saved: Any) -> None:
    owner.load_state_dict(deepcopy(saved))


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


def _fingerprint(saved: Any) -> dict[str, str]:
    return {path: digest(value) for path, value in flatten_recordable(saved).items()}


class SavedPart(NamedTuple):
    """A part and a copy of its state."""

    part: StatePart
    state: Any


def save_parts(state: object) -> dict[str, SavedPart]:
    """Copies of the parts of *state*, by path."""
    return {part.path: SavedPart(part, part.read()) for part in list_state_parts(state)}


def find_changes(state: object, before: Mapping[str, SavedPart]) -> Iterator[StatePart]:
    """The parts of *state* whose content is not as in *before*, named as there; not those that it lacks."""
    for part in list_state_parts(state):
        saved = before.get(part.path)
        if saved is None or saved.part.fix != part.fix:  # None here, and an object there
            continue
        if _fingerprint(part.read()) != _fingerprint(saved.state):
            yield part._replace(name=saved.part.name)
