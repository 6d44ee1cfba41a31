"""Finds plugins: the modules of a folder, and the entry points of other distributions.

There is no list to edit: a file ``adapters/jax.py`` is the adapter ``jax``, and another distribution adds its
own adapter under the entry point group ``pytest_repro.adapters``.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType


@functools.cache
def find_plugins(package: str) -> Mapping[str, str | EntryPoint]:
    """Names of the plugins of *package*, in order, each with its module's name or its entry point.

    Args:
        package: Dotted name of a folder, ``"pytest_repro.adapters"``, and of the entry point group. Modules
            that start with ``_`` are no plugins.
    """
    folder = importlib.import_module(package)
    sources: dict[str, str | EntryPoint] = {
        module.name: f"{package}.{module.name}"
        for module in pkgutil.iter_modules(folder.__path__)
        if not module.name.startswith("_")
    }
    sources.update((point.name, point) for point in entry_points(group=package))
    return dict(sorted(sources.items()))


def load_plugin(package: str, name: str) -> ModuleType:
    """The module of the plugin *name*.

    Raises:
        KeyError: There is no such plugin.
    """
    source = find_plugins(package)[name]
    module = importlib.import_module(source) if isinstance(source, str) else source.load()
    assert isinstance(module, ModuleType), f"entry point {name} of {package} is not a module"
    return module
