"""What the state of a training holds that is no module, optimiser or generator: numbers, texts, arrays."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Collection, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from pytest_repro.adapters._find_generators import list_slot_names

_MAX_ARRAY_NBYTES = 2**26
"""Bytes from which on arrays beside the modules are taken for data: they are not copied."""


class PlainValue(NamedTuple):
    """One of them.

    Attributes:
        path: What it is called: ``state.step``.
        owner: Who holds it.
        name: Its attribute, key or index there.
        value: What stood there when it was found.
    """

    path: str
    owner: Any
    name: Any
    value: Any

    def read(self) -> Any:
        """A copy of what stands there."""
        return self.value.detach().clone() if hasattr(self.value, "detach") else deepcopy(self.value)

    def restore(self, saved: Any) -> None:
        """Has *saved* stand there."""
        put = _restore_into(self.value, saved)
        if put is self.value:
            return
        if isinstance(self.owner, (dict, list)):
            self.owner[self.name] = put
        elif not isinstance(self.owner, tuple):  # whose members training cannot change either
            setattr(self.owner, self.name, put)


def _restore_into(current: Any, saved: Any) -> Any:
    """What *saved* is to be where *current* stands: arrays stay who they are, as an optimiser may hold them."""
    same = getattr(current, "shape", None) == getattr(saved, "shape", None)
    if same and hasattr(current, "detach"):
        current.detach().copy_(saved)
    elif same and _is_numpy_array(current):
        current[...] = saved
    elif type(current) is type(saved) is dict:
        items = {key: _restore_into(current.get(key), each) for key, each in saved.items()}
        current.clear()
        current.update(items)
    elif type(current) is type(saved) is tuple and len(current) == len(saved):
        return tuple(map(_restore_into, current, saved))
    elif type(current) is type(saved) and type(current) in (list, deque):
        put = [*map(_restore_into, current, saved), *deepcopy(list(saved)[len(current) :])]
        current.clear()
        current.extend(put)
    else:
        return deepcopy(saved)
    return current


def find_plain_values(path: str, owner: Any, is_root: bool = False) -> Iterator[PlainValue]:
    """Numbers, texts and arrays, and collections of them, that are attributes or items of *owner*."""
    if not is_root and _is_plain(owner):
        return  # a part of what holds it already
    for called, name, value in _list_members(owner):
        if _is_plain(value) and _count_array_nbytes(value) <= _MAX_ARRAY_NBYTES:
            yield PlainValue(f"{path}{called}", owner, name, value)


def find_module_values(path: str, module: Any) -> Iterator[PlainValue]:
    """What the modules in *module* hold besides parameters, buffers and their mode: a count, a scale."""
    own = vars(sys.modules["torch"].nn.Module()).keys()
    for name, each in module.named_modules():
        inner = f"{path}.{name}" if name else path
        yield from (plain for plain in find_plain_values(inner, each) if plain.name not in own)


def _list_members(owner: Any) -> list[tuple[str, Any, Any]]:
    """What *owner* holds by itself: how each is called after it, its key or name, and the value."""
    if isinstance(owner, dict):
        return [(f"[{key!r}]", key, value) for key, value in owner.items() if isinstance(key, (str, int))]
    if isinstance(owner, (list, tuple)):
        fields = getattr(type(owner), "_fields", ())
        return [(f".{fields[i]}" if fields else f"[{i}]", i, value) for i, value in enumerate(owner)]
    return [(f".{name}", name, getattr(owner, name)) for name in _list_attributes(owner)]


def _list_attributes(owner: Any) -> list[str]:
    """Names of what an instance holds by itself and lets be set."""
    slots = [
        name for kind in type(owner).__mro__ for name in list_slot_names(vars(kind).get("__slots__", ()))
    ]
    return [*getattr(owner, "__dict__", ()), *(name for name in slots if hasattr(owner, name))]


def _is_numpy_array(value: object) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "__setitem__") and hasattr(value, "shape")


def _iter_arrays(value: Any) -> Iterator[Any]:
    """The tensors and arrays of a plain value."""
    if isinstance(value, (list, tuple, deque, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _iter_arrays(each)
    elif hasattr(value, "detach") or _is_numpy_array(value):
        yield value


def is_learnt(value: Any) -> bool:
    """Whether a plain value is an array or holds some; a list of scalars is a history, of losses say."""
    return any(each is value or len(each.shape) > 0 for each in _iter_arrays(value))


def is_parameter_alias(value: Any, module_ids: Collection[int]) -> bool:
    """Whether a plain value is of parameters alone that a module has."""
    arrays = [id(each) in module_ids for each in _iter_arrays(value)]
    return bool(arrays) and all(arrays)


def _count_array_nbytes(value: Any) -> int:
    return sum(int(getattr(each, "nbytes", 0)) for each in _iter_arrays(value))


def _is_plain(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in (bool, int, float, complex, str, bytes, type(None)) or _is_numpy_array(value):
        return True
    if hasattr(kind, "detach") and hasattr(kind, "requires_grad"):
        return bool(value.is_leaf)  # another one hangs on the graph that made it
    if depth > 4 or kind not in (list, tuple, dict, set, deque):
        return False
    return all(_is_plain(each, depth + 1) for each in (value.values() if kind is dict else value))
