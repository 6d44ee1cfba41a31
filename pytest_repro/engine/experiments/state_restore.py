"""Restores what a run has changed, by name, to find which of several changes makes runs differ."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from pytest_repro.adapters import find_array_adapter, find_generator_adapter
from pytest_repro.engine.experiments.process_state import (
    PLAIN_TYPES,
    Setter,
    StateVisitor,
    is_within,
)

_Restorer = Callable[[], object]


class StateRestorer(StateVisitor):
    """Keeps the state of the values of some names when it visits them, and restores it later.

    Args:
        names: As in changes, ``"test_it.MODEL.bn"``; stands for all parts of that object.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names
        self._restorers: dict[str, _Restorer] = {}
        self._failed_names: set[str] = set()
        self._generator_names: set[str] = set()

    def on_value(self, name: str, value: Any, setter: Setter | None) -> None:
        target = self._match_name(name)
        if not target or name in self._restorers:
            return
        if any(is_within(name, generator) for generator in self._generator_names):
            return
        # A change may name the state of a generator, which is restored as a whole.
        is_generator = find_generator_adapter(value) is not None
        if not is_generator and not is_within(name, target):
            return
        restorer = None
        with suppress(Exception):  # a foreign object may refuse to be copied
            restorer = _make_restorer(value, setter)
        if restorer is None:
            self._failed_names.add(target)
            return
        self._restorers[name] = restorer
        if is_generator:
            self._generator_names.add(name)

    def _match_name(self, name: str) -> str:
        """The first of the names that *name* is a part of, else the first that is a part of *name*."""
        wholes = (target for target in self._names if is_within(name, target))
        parts = (target for target in self._names if is_within(target, name))
        return next(wholes, "") or next(parts, "")

    def restore(self) -> None:
        """Restores all visited values."""
        for name, restorer in self._restorers.items():
            try:
                restorer()
            except Exception:  # a foreign object may raise anything
                self._failed_names.add(self._match_name(name))

    def list_restored_names(self) -> tuple[str, ...]:
        """The names whose values were restored completely."""
        restored = set(map(self._match_name, self._restorers)) - self._failed_names
        return tuple(name for name in self._names if name in restored)


def _make_restorer(value: Any, setter: Setter | None) -> _Restorer | None:
    """Restores the content of *value*, and its place in its owner; None if neither is possible."""
    restore_content = _make_content_restorer(value)
    if restore_content is None:
        return None
    if setter is None:
        return None if isinstance(value, PLAIN_TYPES) else restore_content
    return lambda: (restore_content(), setter(value))


def _make_content_restorer(value: Any) -> _Restorer | None:
    if isinstance(value, PLAIN_TYPES):
        return _do_nothing
    if (adapter := find_generator_adapter(value)) is not None:
        return partial(adapter.set_state, value, adapter.get_state(value) or "")
    if callable(getattr(value, "cache_clear", None)):
        return value.cache_clear  # type: ignore[no-any-return]
    if isinstance(value, (dict, set)):
        return partial(_refill, value, value.update, _copy_value(value))
    if isinstance(value, list) or hasattr(value, "popleft"):
        return partial(_refill, value, value.extend, _copy_value(value))
    if (adapter := find_array_adapter(value)) is not None:
        return partial(adapter.restore_array, value, adapter.copy_array(value))
    return _do_nothing if hasattr(value, "__dict__") or isinstance(value, tuple) else None


def _do_nothing() -> None:
    """For a value whose parts are restored one by one."""


def _refill(value: Any, fill: Callable[[Iterable[Any]], object], content: Any) -> None:
    value.clear()
    fill(content)


def _copy_value(value: Any) -> Any:
    """A deep copy of *value*, or a shallow one if its members refuse to be copied."""
    with suppress(Exception):
        return copy.deepcopy(value)
    return copy.copy(value)
