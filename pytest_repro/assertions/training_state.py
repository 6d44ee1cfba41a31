"""The state of a training as parts that can be read and restored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

from pytest_repro.adapters import active_adapters, digest, find_array_adapter, find_kind_name
from pytest_repro.adapters._find_generators import find_generators, list_slots, walk_reachable

_ROOT = "state"
_MAX_ARRAY_NBYTES = 2**26
"""Size above which arrays outside of modules count as data, and are not copied."""


class StatePart(NamedTuple):
    """A part of the state of a training.

    Attributes:
        name: ``"state.optimizer (Adam)"``, ``"torch cpu"``.
        read: Returns a copy of its current state.
        restore: Restores what *read* returned, as far as possible.
        fix: Code that saves and loads it.
        learnt: Whether it is compared between trainings: modules, optimizers, tensors, objects with a
            ``state_dict``; not the states of generators, nor counters.
        is_collection: Whether it is a list, tuple or dict of plain values.
    """

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], None]
    fix: str
    learnt: bool = True
    is_collection: bool = False


class MissingState(NamedTuple):
    """What a checkpoint lacks, as far as known.

    Attributes:
        parts: Parts without which training does not continue as it would have.
        pause_differs: Whether a pause without saving and loading makes a difference already.
        unexplained: Whether restoring all visible state was not enough.
        changed_by_save: Names of the learnt parts that *save* changed before saving them.
    """

    parts: tuple[StatePart, ...] = ()
    pause_differs: bool = False
    unexplained: bool = False
    changed_by_save: tuple[str, ...] = ()


def state_parts(state: object) -> list[StatePart]:
    """The parts of *state* and the global generators, in the order of restoring."""
    parts, module_ids, closed = list[StatePart](), set[int](), list[str]()
    plain: list[PlainValue] = []
    value: Any
    for path, value in walk_reachable([(_ROOT, state)]):
        if id(value) in module_ids:
            continue
        is_module = find_kind_name(value) == "module"
        if is_module:
            module_ids.update(map(id, (*value.modules(), *value.parameters(), *value.buffers())))
        methods = (getattr(type(value), name, None) for name in ("state_dict", "load_state_dict"))
        if is_module or (path != _ROOT and all(map(callable, methods))):
            closed.append(path)
            read, restore = (
                (_read_module, _restore_module) if is_module else (_read_state_dict, _restore_state_dict)
            )
            name, fix = _format_name(path, value), ".state_dict(), .load_state_dict(…)"
            parts.append(StatePart(name, partial(read, value), partial(restore, value), fix))
            plain += _find_module_values(path, value) if is_module else ()
        elif not any(path.startswith((f"{part}.", f"{part}[")) for part in closed):
            plain += find_plain_values(path, value, path == _ROOT)
    parts += [each.as_part() for each in plain if not _is_parameter_alias(each.value, module_ids)]
    for generator in find_generators([(_ROOT, state)]):
        hint = generator.adapter.state_api_hint(generator.generator)
        parts.append(StatePart(generator.name, generator.read, generator.restore, hint, learnt=False))
    return parts


def _format_name(path: str, value: object) -> str:
    return f"{path} ({type(value).__qualname__})"


def _list_tensors(module: Any) -> dict[str, Any]:
    """Parameters and all buffers, also those that the ``state_dict`` excludes."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _read_module(module: Any) -> dict[str, Any]:
    return {name: tensor.detach().clone() for name, tensor in _list_tensors(module).items()}


def _restore_module(module: Any, saved: dict[str, Any]) -> None:
    for name, tensor in _list_tensors(module).items():
        if name in saved and saved[name].shape == tensor.shape:
            tensor.detach().copy_(saved[name])


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


def find_changes(state: object, before: Mapping[str, Any]) -> list[StatePart]:
    """The parts of *state* whose content is not as in *before*, by name; not those that are not in it."""
    parts = (part for part in state_parts(state) if part.name in before)
    return [part for part in parts if _fingerprint(part.read()) != _fingerprint(before[part.name])]


class PlainValue(NamedTuple):
    """A number, text, array, or collection of them: the attribute, key or index *name* of *owner*."""

    path: str
    owner: Any
    name: Any
    value: Any

    def read(self) -> Any:
        """A copy of the current value."""
        adapter = find_array_adapter(self.value)
        return deepcopy(self.value) if adapter is None else adapter.copy_array(self.value)

    def restore(self, saved: Any) -> None:
        """Sets the value to *saved*."""
        restored = _restore_into(self.value, saved)
        if restored is self.value:
            return
        if isinstance(self.owner, (dict, list)):
            self.owner[self.name] = restored
        elif not isinstance(self.owner, tuple):  # training cannot change its members either
            setattr(self.owner, self.name, restored)

    def as_part(self) -> StatePart:
        """The part of the state that it is."""
        value, name = self.value, _format_name(self.path, self.value)
        # A list of scalars is a history, for example of losses.
        learnt = any(array is value or len(array.shape) > 0 for array in _iter_arrays(value))
        is_collection = isinstance(value, (list, tuple, dict, deque))
        return StatePart(name, self.read, self.restore, "its value", learnt, is_collection)


def _restore_into(current: Any, saved: Any) -> Any:
    """*current* changed into *saved*, in place if possible: an optimizer may refer to its arrays."""
    same = getattr(current, "shape", None) == getattr(saved, "shape", None)
    if same and (adapter := find_array_adapter(current)) is not None:
        adapter.restore_array(current, saved)
    elif type(current) is type(saved) is dict:
        items = {key: _restore_into(current.get(key), value) for key, value in saved.items()}
        current.clear()
        current.update(items)
    elif type(current) is type(saved) is tuple and len(current) == len(saved):
        return tuple(map(_restore_into, current, saved))
    elif type(current) is type(saved) and type(current) in (list, deque):
        restored = [*map(_restore_into, current, saved), *deepcopy(list(saved)[len(current) :])]
        current.clear()
        current.extend(restored)
    else:
        return deepcopy(saved)
    return current


def find_plain_values(path: str, owner: Any, is_root: bool = False) -> Iterator[PlainValue]:
    """Numbers, text and arrays, and collections of them, in the attributes or items of *owner*."""
    if not is_root and _is_plain(owner):
        return  # found as a part of its owner
    for suffix, name, value in _list_members(owner):
        nbytes = (int(getattr(array, "nbytes", 0)) for array in _iter_arrays(value))
        if _is_plain(value) and sum(nbytes) <= _MAX_ARRAY_NBYTES:
            yield PlainValue(f"{path}{suffix}", owner, name, value)


def _find_module_values(path: str, module: Any) -> Iterator[PlainValue]:
    """Values that a module and its submodules hold beside parameters, buffers and mode."""
    base_names = {name for adapter in active_adapters().values() for name in adapter.base_attributes(module)}
    for name, submodule in module.named_modules():
        values = find_plain_values(f"{path}.{name}" if name else path, submodule)
        yield from (value for value in values if value.name not in base_names)


def _list_members(owner: Any) -> list[tuple[str, Any, Any]]:
    """Suffix of the path, key or name, and value of each member of *owner*."""
    if isinstance(owner, dict):
        return [(f"[{key!r}]", key, value) for key, value in owner.items() if isinstance(key, (str, int))]
    if isinstance(owner, (list, tuple)):
        fields = getattr(type(owner), "_fields", ())
        return [(f".{fields[i]}" if fields else f"[{i}]", i, value) for i, value in enumerate(owner)]
    names = (*getattr(owner, "__dict__", ()), *list_slots(owner))
    return [(f".{name}", name, getattr(owner, name)) for name in names]


def _iter_arrays(value: Any) -> Iterator[Any]:
    """The tensors and arrays in a plain value."""
    if isinstance(value, (list, tuple, deque, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _iter_arrays(item)
    elif find_array_adapter(value) is not None:
        yield value


def _is_parameter_alias(value: Any, module_ids: Collection[int]) -> bool:
    """Whether all arrays of a plain value are parameters of a module."""
    is_parameter = [id(array) in module_ids for array in _iter_arrays(value)]
    return bool(is_parameter) and all(is_parameter)


def _is_plain(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in (bool, int, float, complex, str, bytes, type(None)):
        return True
    if find_array_adapter(value) is not None:
        return bool(getattr(value, "is_leaf", True))  # other tensors depend on the graph that computed them
    if depth > 4 or kind not in (list, tuple, dict, set, deque):
        return False
    return all(_is_plain(item, depth + 1) for item in (value.values() if kind is dict else value))
