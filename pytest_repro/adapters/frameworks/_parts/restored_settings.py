"""Restores what a test sets beside generators: environment variables, the configuration of a library."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from pytest_repro.adapters import Adapter
from pytest_repro.core.plan.plan import Deterministic

_environ: Any = os.environ


def _is_set(name: str) -> bool:
    try:
        return _environ.encodekey(name) in _environ._data  # 0.2 µs; os.environ raises and catches: 2 µs
    except AttributeError:  # private: Python may remove it
        return name in os.environ


@contextmanager
def restored_variables(names: Collection[str]) -> Iterator[None]:
    """Restores the environment variables of *names* after the block."""
    saved = {name: os.environ[name] for name in names if _is_set(name)}
    try:
        yield
    finally:
        for name in names:
            if name in saved:
                os.environ[name] = saved[name]
            elif _is_set(name):
                del os.environ[name]


class ConfiguredAdapter(Adapter):
    """Restores the settings of *library*, a module with both functions, after each test."""

    def __init__(self, library: ModuleType) -> None:
        self._library: Any = library
        self._prefix = f"{library.__name__}.get_config()"
        self._active_blocks: dict[int, dict[str, Any]] = {}  # settings to restore

    @contextmanager
    def deterministic(self, mode: Deterministic) -> Iterator[None]:
        saved = self._library.get_config()
        self._active_blocks[id(saved)] = saved
        try:
            yield
        finally:
            del self._active_blocks[id(saved)]
            if self._library.get_config() != saved:
                self._library.set_config(**saved)

    @contextmanager
    def leave_switches(self, varied: Collection[str]) -> Iterator[None]:
        before = self._library.get_config()
        try:
            yield
        finally:
            after = self._library.get_config()
            changes = {name: value for name, value in after.items() if value != before.get(name)}
            for saved in self._active_blocks.values():
                saved.update(changes)

    def switch_values(self) -> Iterable[tuple[str, object]]:
        return [(f"{self._prefix}[{name!r}]", value) for name, value in self._library.get_config().items()]

    def set_switch(self, name: str, value: object) -> bool:
        setting = name.removeprefix(f"{self._prefix}['").removesuffix("']")
        if setting == name:
            return False
        self._library.set_config(**{setting: value})
        return True
