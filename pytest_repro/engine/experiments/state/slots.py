"""The named places of a value that hold its parts: attributes, items, variables of a closure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import BuiltinFunctionType
from typing import Any, NamedTuple

from pytest_repro.engine.experiments.state.iterators import PLAIN_TYPES
from pytest_repro.engine.experiments.state.process_state import (
    fill_cell,
    has_gradient,
    has_member,
    is_state_name,
    iter_cells,
    read_attributes,
)

_ABSENT = object()


class Slots(NamedTuple):
    """Named places of a value, each of which holds a part of it.

    Attributes:
        saved: What each held, by the end of its name: ``".rate"``, ``"['a']"``.
        list_now: What each holds now.
        put: Fills a place.
        clear: Empties one.
    """

    saved: Mapping[str, object]
    list_now: Callable[[], Mapping[str, object]]
    put: Callable[[str, Any], object]
    clear: Callable[[str], object]

    def restore(self, name: str) -> None:
        before = self.saved.get(name, _ABSENT)
        if before is _ABSENT:
            self.clear(name)
        elif self.list_now().get(name, _ABSENT) is not before:
            self.put(name, before)

    def restore_all(self) -> None:
        for name in {**self.list_now(), **self.saved}:
            self.restore(name)


def find_slots(value: Any) -> Slots | None:
    """The places of the parts of *value*, which may be empty later or hold something else."""
    if isinstance(value, (*PLAIN_TYPES, BuiltinFunctionType)):
        return None
    if isinstance(value, (dict, list)) or has_member(value, "popleft"):
        read, key = partial(_list_items, value), partial(_find_key, value, list(_iter_keys(value)))
        return Slots(
            read(),
            read,
            lambda name, part: value.__setitem__(key(name), part),
            lambda name: value.__delitem__(key(name)),
        )
    read = partial(_list_attributes, value)
    cells = {f"(variable {name})": cell for name, cell in iter_cells(value)}

    def put(name: str, part: object) -> None:
        if name in cells:
            fill_cell(cells[name], part)
        elif isinstance(value, type) or name == ".grad":
            setattr(value, name[1:], part)
        else:  # not that of a class that makes or checks attributes
            object.__setattr__(value, name[1:], part)

    return Slots(read(), read, put, lambda name: _drop_attribute(value, name[1:]))


def _iter_keys(value: Any) -> Iterable[Any]:
    return value if isinstance(value, dict) else range(len(value))


def _list_items(value: Any) -> Mapping[str, object]:
    return {f"[{key!r}]": value[key] for key in _iter_keys(value) if isinstance(key, PLAIN_TYPES)}


def _find_key(value: Any, saved_keys: Sequence[Any], name: str) -> Any:
    """The key of a dict, or the index in a list, that is written *name*."""
    return next(key for key in (*saved_keys, *_iter_keys(value)) if f"[{key!r}]" == name)


def _list_attributes(value: object) -> Mapping[str, object]:
    found = {f".{name}": part for name, part in read_attributes(value).items() if is_state_name(name)}
    found.update((f"(variable {name})", cell.cell_contents) for name, cell in iter_cells(value))
    return {**found, ".grad": value.grad} if has_gradient(value) else found  # type: ignore[attr-defined]


def _drop_attribute(value: Any, name: str) -> None:
    own = getattr(value, "__dict__", {})
    if isinstance(own, dict) and name in own:
        del own[name]
    else:  # of a class, or one that the value keeps elsewhere
        delattr(value, name)
