"""Puts the state of a process back: what a run changed is changed back, what it added is removed.

Contents are put back into the objects that held them, so that whoever else refers to these sees them too.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from types import GeneratorType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.adapters import (
    STANDARD_LIBRARY,
    Adapter,
    active_adapters,
    find_array_adapter,
    find_generator_adapter,
)
from pytest_repro.core.diagnose import StateRoot
from pytest_repro.engine.experiments.state.iterators import Rewinder, Setter, can_rewind, is_iterator
from pytest_repro.engine.experiments.state.process_state import (
    MODULE_PARTS,
    StateFacts,
    StateVisitor,
    capture_switches,
    has_member,
    is_within,
)
from pytest_repro.engine.experiments.state.slots import Slots, find_slots
from pytest_repro.interpose.code_owner import is_user_module


class _Kept(NamedTuple):
    """What restores a value: its content as a whole, or the part in one slot."""

    name: str
    restore: Callable[[], object] | None
    slots: Slots | None


class _Keeper(StateVisitor):
    """Keeps what restores the values that names in *targets* are about."""

    def __init__(self, targets: Iterable[str]) -> None:
        super().__init__()
        self._targets = tuple(targets)
        self.kept: list[_Kept] = []
        self.names: set[str] = set()
        self._rewinders: dict[int, Rewinder] = {}  # by id of what the search has visited and keeps alive

    def on_value(self, name: str, value: Any, setter: Setter | None) -> None:
        self.names.add(name)
        if setter is not None and id(value) in self._rewinders:
            self._rewinders[id(value)].add(setter)
        elif any(is_within(name, each) or is_within(each, name) for each in self._targets):
            with suppress(Exception):  # a foreign object may refuse to be copied
                slots = find_slots(value)
                for part in MODULE_PARTS:
                    if slots is not None and isinstance(places := slots.saved.get(f".{part}"), dict):
                        self.kept.append(_Kept(name, partial(_refill, places, dict(places)), None))
                self.kept.append(_Kept(name, self._make_restorer(value, setter, slots), slots))

    def _make_restorer(
        self, value: Any, setter: Setter | None, slots: Slots | None
    ) -> Callable[[], object] | None:
        if setter is None or slots is None or not is_iterator(value):
            return _make_restorer(value, slots)
        if not can_rewind(value):
            if isinstance(value, GeneratorType):
                return None
            iterator = copy.copy(value)
            return lambda: setter(copy.copy(iterator))
        rewinder = self._rewinders[id(value)] = Rewinder(value)
        rewinder.add(setter)
        return rewinder.restore


class StateRestorer:
    """Keeps the state of the values of some names, and restores it later.

    Args:
        names: As in changes, ``"test_it.MODEL.bn"``; stands for all parts of that object. It need not exist
            yet: then it is removed from the object that it is added to.
        keeps_setup: Whether what is there when the first body begins is kept, not removed: ``setUpClass``
            makes it once.
    """

    def __init__(self, names: Sequence[str], keeps_setup: bool = False) -> None:
        self._names, self._keeps_setup = names, keeps_setup
        self._keepers: list[tuple[_Keeper, Callable[[StateVisitor], None]]] = []
        self._switches: StateFacts = {}
        self._switch_setters: dict[str, Callable[[str], object]] = {}
        self._switch_names: set[str] = set()
        self._modules = frozenset(sys.modules)
        self._failed_names: set[str] = set()

    def keep_modules(self) -> None:
        """Keeps globals, environment variables and the working folder. Called before the first run."""
        self._keep(StateVisitor.visit_modules)
        self._keep_switches(lambda library: True)

    def keep_roots(self, roots: Mapping[str, StateRoot]) -> None:
        """Keeps *roots*, and libraries' settings. Called when the body of the first run begins."""
        self._keep(lambda visitor: visitor.visit_roots(roots))
        if self._keeps_setup:
            known = self._keepers[0][0].names if self._keepers else set()
            self._keep(StateVisitor.visit_modules, [name for name in self._names if name not in known])
        self._keep_switches(lambda library: library != STANDARD_LIBRARY)  # which a fixture may set

    def _keep(self, visit: Callable[[StateVisitor], None], names: Sequence[str] | None = None) -> None:
        if targets := self._names if names is None else names:
            keeper = _Keeper(targets)
            visit(keeper)
            self._keepers.append((keeper, visit))

    def _keep_switches(self, wanted: Callable[[str], bool]) -> None:
        for library, adapter in active_adapters().items() if self._names else ():
            if wanted(library):
                self._switch_setters[library] = adapter.save_switches()
                self._switches = {**self._switches, **_read_switches(library)}

    def restore(self) -> None:
        """Restores the values of all names."""
        self._switch_names |= {*self._switches, *capture_switches(), *self._drop_new_modules()}
        for name in self._names:
            for keeper, _ in self._keepers:
                for kept in keeper.kept:
                    with suppress(
                        Exception
                    ):  # a foreign object may raise anything; its state is compared below
                        _put_back_part(kept, name, keeper.names)
            for set_back in self._switch_setters.values():
                set_back(name)
        for keeper, visit in self._keepers:
            visitor = StateVisitor()
            visit(visitor)
            self._compare(keeper.facts, visitor.facts)
        now = capture_switches()
        self._compare(self._switches, {name: now[name] for name in now if name in self._names})

    def _drop_new_modules(self) -> list[str]:
        """Forgets the user's modules that a run was the first to import; returns the names in them."""
        new = [name for name, module in list(sys.modules.items()) if name not in self._modules and module]
        named = {module: [each for each in self._names if is_within(each, module)] for module in new}
        dropped = [name for name in new if named[name] and is_user_module(sys.modules[name])]
        for name in dropped:
            del sys.modules[name]
        return [each for name in dropped for each in named[name]]

    def _compare(self, before: StateFacts, now: StateFacts) -> None:
        changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        self._failed_names |= {each for each in self._names if any(is_within(name, each) for name in changed)}

    def list_restored_names(self) -> tuple[str, ...]:
        """The names whose values were restored completely."""
        known = {*self._switch_names, *(kept.name for keeper, _ in self._keepers for kept in keeper.kept)}
        found = (
            each
            for each in self._names
            if any(is_within(name, each) or is_within(each, name) for name in known)
        )
        return tuple(each for each in found if each not in self._failed_names)


def _read_switches(library: str) -> StateFacts:
    names = active_adapters()[library].switches()
    return {name: fact for name, fact in capture_switches().items() if name in names}


def _put_back_part(kept: _Kept, target: str, known_names: set[str]) -> None:
    if is_within(kept.name, target):
        if kept.restore is not None:
            kept.restore()
    elif kept.slots is not None and is_within(target, kept.name):
        segment = re.split(r"(?=[.(\[])", target[len(kept.name) :])[1]
        # What was there under that name, but not in a slot, is restored where it is.
        if segment in kept.slots.saved or kept.name + segment not in known_names:
            kept.slots.restore(segment)


def _make_restorer(value: Any, slots: Slots | None) -> Callable[[], object] | None:
    """Restores the content of *value*, without its parts, which are restored one by one."""
    if isinstance(value, ModuleType) or slots is None:
        return None
    if (adapter := find_generator_adapter(value)) is not None:
        return partial(adapter.set_state, value, adapter.get_state(value) or "")
    if has_member(value, "cache_clear"):  # it can only be emptied
        return value.cache_clear if value.cache_info().currsize == 0 else None
    if isinstance(value, (dict, set, list)) or has_member(value, "popleft"):
        return partial(_refill, value, dict(value) if isinstance(value, dict) else list(value))
    if (array_adapter := find_array_adapter(value)) is not None:
        if array_adapter.immutable_arrays:
            return None
        saved = array_adapter.copy_array(value)
        return partial(_restore_array, value, array_adapter, saved, slots)
    if isinstance(value, ContextVar):
        return partial(value.set, value.get())
    if is_iterator(value):
        return None
    found = (each.save_variables(value) for each in active_adapters().values())
    restore_variables = next(filter(None, found), None)
    return restore_variables or partial(_restore_object, value, type(value), slots)


def _restore_array(array: Any, adapter: Adapter, saved: Any, slots: Slots) -> None:
    slots.restore_all()
    adapter.restore_array(array, saved)


def _refill(value: Any, content: dict[Any, Any] | list[Any]) -> None:
    old, now = (
        [*each.keys(), *each.values()] if isinstance(each, dict) else list(each) for each in (content, value)
    )
    if len(old) != len(now) or any(a is not b for a, b in zip(old, now)):
        value.clear()
        value.extend(content) if hasattr(value, "extend") else value.update(content)


def _restore_object(value: Any, kind: type, slots: Slots) -> None:
    if type(value) is not kind:
        value.__class__ = kind
    slots.restore_all()
