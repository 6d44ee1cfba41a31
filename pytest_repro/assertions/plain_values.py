"""Numbers, text and arrays that a training holds outside of modules and optimizers."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from pytest_repro.adapters import active_adapters, find_array_adapter
from pytest_repro.adapters._find_generators import list_slots

_MAX_ARRAY_NBYTES = 2**26  # size above which arrays outside of modules count as data, and are not copied


class PlainValue(NamedTuple):
    """A number, text, array, or collection of them: the attribute, key or index *name* of *owner*."""

    path: str
    owner: Any
    name: Any
    value: Any

    def read(self) -> Any:
        """A copy of the current value."""
        adapter = find_array_adapter(self.value)
        if adapter is not None:
            return adapter.copy_array(self.value)
        return deepcopy(self.value, copy_graph_arrays(iter_arrays(self.value)))

    def restore(self, saved: Any) -> None:
        """Sets the value to *saved*."""
        restored = _restore_into(self.value, saved)
        if restored is not self.value:
            set_member(self.owner, self.name, restored)


def set_member(owner: Any, name: Any, value: object) -> None:
    """Sets the attribute, key or index *name* of *owner*."""
    if isinstance(owner, dict):
        owner[name] = value
    elif isinstance(owner, list):
        owner[name : name + 1] = [value]  # or appended
    elif not isinstance(owner, tuple):  # training cannot change its members either
        setattr(owner, name, value)


def has_graph(array: object) -> bool:
    """Whether *array* is a tensor that autograd computed."""
    return not getattr(array, "is_leaf", True)


def copy_graph_arrays(values: Iterable[object]) -> dict[int, Any]:
    """A memo for :func:`~copy.deepcopy`, which refuses tensors with a graph: copies of those in *values*."""
    found = ((value, find_array_adapter(value)) for value in values)
    return {id(v): adapter.copy_array(v) for v, adapter in found if adapter is not None and has_graph(v)}


def _restore_into(current: Any, saved: Any) -> Any:
    """*current* changed into *saved*, in place if possible: an optimizer may refer to its arrays."""
    same = getattr(current, "shape", None) == getattr(saved, "shape", None)
    adapter = find_array_adapter(current) if same else None
    if adapter is not None and not adapter.immutable_arrays:
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
    if not is_root and is_plain(owner):
        return  # found as a part of its owner
    for suffix, name, value in list_members(owner):
        nbytes = (int(getattr(array, "nbytes", 0)) for array in iter_arrays(value))
        if is_plain(value) and sum(nbytes) <= _MAX_ARRAY_NBYTES:
            yield PlainValue(f"{path}{suffix}", owner, name, value)


def list_members(owner: Any) -> list[tuple[str, Any, Any]]:
    """Suffix of the path, key or name, and value of each member of *owner*."""
    if isinstance(owner, dict):
        return [(f"[{key!r}]", key, value) for key, value in owner.items() if isinstance(key, (str, int))]
    if isinstance(owner, (list, tuple)):
        fields = getattr(type(owner), "_fields", ())
        return [(f".{fields[i]}" if fields else f"[{i}]", i, value) for i, value in enumerate(owner)]
    base_names = {name for adapter in active_adapters().values() for name in adapter.base_attributes(owner)}
    names = (*getattr(owner, "__dict__", ()), *list_slots(owner))
    return [(f".{name}", name, getattr(owner, name)) for name in names if name not in base_names]


def iter_arrays(value: Any) -> Iterator[Any]:
    """The tensors and arrays in a plain value."""
    if isinstance(value, (list, tuple, deque, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from iter_arrays(item)
    elif find_array_adapter(value) is not None:
        yield value


def is_parameter_alias(value: Any, module_ids: Collection[int]) -> bool:
    """Whether all arrays of a plain value are parameters of a module."""
    is_parameter = [id(array) in module_ids for array in iter_arrays(value)]
    return bool(is_parameter) and all(is_parameter)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether *value* is a number, text or array, or a collection of them."""
    kind = type(value)
    if kind in (bool, int, float, complex, str, bytes, type(None)):
        return True
    if find_array_adapter(value) is not None:
        return True
    if depth > 4 or kind not in (list, tuple, dict, set, deque):
        return False
    return all(is_plain(item, depth + 1) for item in (value.values() if kind is dict else value))
