"""Plugins of the package: the files of a folder, and the entry points of other distributions.

There is no list to edit: a file ``adapters/arrays/jax.py`` is the adapter ``jax``, and another distribution
adds its own adapter under the entry point group ``pytest_repro.adapters``.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any


@functools.cache
def find_plugins(package: str, group: str = "") -> Mapping[str, str | EntryPoint]:
    """Names in the folder *package* and where each is loaded from, in name order.

    Folders in it only group the files. Names that start with ``_`` are no plugins. *group* is the entry point
    group, if it is not *package*.
    """
    sources: dict[str, str | EntryPoint] = dict(_iter_files(package))
    sources.update((point.name, point) for point in _read_entry_points().select(group=group or package))
    return dict(sorted(sources.items()))


def _iter_files(package: str) -> Iterator[tuple[str, str]]:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        path = f"{package}.{module.name}"
        if not module.name.startswith("_"):
            yield from _iter_files(path) if module.ispkg else [(module.name, path)]


@functools.cache
def _read_entry_points() -> Any:
    # Reads the metadata of every installed distribution: once for all groups.
    return entry_points()


def load_plugin(package: str, name: str, group: str = "") -> ModuleType:
    """The module of the plugin *name*.

    Raises:
        KeyError: There is no such plugin.
    """
    source = find_plugins(package, group)[name]
    found = importlib.import_module(source) if isinstance(source, str) else source.load()
    assert isinstance(found, ModuleType), f"entry point {name} of {package} is no module"
    return found
