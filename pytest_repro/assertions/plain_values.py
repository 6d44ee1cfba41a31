"""State of a training outside of modules, optimizers and generators: numbers, text, arrays."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from pytest_repro.adapters import active_adapters, find_array_adapter
from pytest_repro.adapters._find_generators import list_slot_names

_MAX_ARRAY_NBYTES = 2**26
"""Size above which arrays outside of modules count as data, and are not copied."""


class PlainValue(NamedTuple):
    """A number, text, array, or collection of them.

    Attributes:
        path: ``state.step``.
        owner: The object that holds it.
        name: Its attribute, key or index in *owner*.
        value: The value when it was found.
    """

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
        if _is_plain(value) and _count_array_nbytes(value) <= _MAX_ARRAY_NBYTES:
            yield PlainValue(f"{path}{suffix}", owner, name, value)


def find_module_values(path: str, module: Any) -> Iterator[PlainValue]:
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
    return [(f".{name}", name, getattr(owner, name)) for name in _list_attributes(owner)]


def _list_attributes(owner: Any) -> list[str]:
    """Names of the instance attributes of *owner*."""
    slots = [
        name for kind in type(owner).__mro__ for name in list_slot_names(vars(kind).get("__slots__", ()))
    ]
    return [*getattr(owner, "__dict__", ()), *(name for name in slots if hasattr(owner, name))]


def _iter_arrays(value: Any) -> Iterator[Any]:
    """The tensors and arrays in a plain value."""
    if isinstance(value, (list, tuple, deque, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _iter_arrays(item)
    elif find_array_adapter(value) is not None:
        yield value


def is_learnt(value: Any) -> bool:
    """Whether a plain value is or holds an array; a list of scalars is a history, for example of losses."""
    return any(array is value or len(array.shape) > 0 for array in _iter_arrays(value))


def is_parameter_alias(value: Any, module_ids: Collection[int]) -> bool:
    """Whether all arrays of a plain value are parameters of a module."""
    is_parameter = [id(array) in module_ids for array in _iter_arrays(value)]
    return bool(is_parameter) and all(is_parameter)


def _count_array_nbytes(value: Any) -> int:
    return sum(int(getattr(array, "nbytes", 0)) for array in _iter_arrays(value))


def _is_plain(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in (bool, int, float, complex, str, bytes, type(None)):
        return True
    if find_array_adapter(value) is not None:
        return bool(getattr(value, "is_leaf", True))  # other tensors depend on the graph that computed them
    if depth > 4 or kind not in (list, tuple, dict, set, deque):
        return False
    return all(_is_plain(item, depth + 1) for item in (value.values() if kind is dict else value))
