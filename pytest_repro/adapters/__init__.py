"""What can be read and controlled of each library, one file per library.

A file has the import name of its library and defines one object, ``adapter``. It is active once
its library is in ``sys.modules``: before that no value can be of the library, and none of its
generators was used. Other distributions use the entry point group ``pytest_repro.adapters``: see
:class:`Adapter`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

from pytest_repro.adapters._adapter import Adapter as Adapter
from pytest_repro.adapters._adapter import BoundaryCallback as BoundaryCallback
from pytest_repro.adapters._adapter import DrawOrigin as DrawOrigin
from pytest_repro.adapters._adapter import EntropySource as EntropySource
from pytest_repro.adapters._adapter import FastReader as FastReader
from pytest_repro.core.plan.arguments import validate_seed
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.core.runs.pytree import FlattenResult, iter_leaves
from pytest_repro.values import hashing

STANDARD_LIBRARY = "python"
"""The adapter of the standard library, which is always active."""


@cache
def _load_adapter(name: str) -> Adapter:
    adapter = load_plugin(__name__, name).adapter
    assert isinstance(adapter, Adapter)
    return adapter


def active_adapters() -> dict[str, Adapter]:
    """The adapters of the libraries imported so far, by name, in name order."""
    modules = tuple(map(sys.modules.get, find_plugins(__name__)))
    return _load_active_adapters(modules).copy()


@lru_cache(maxsize=8)
def _load_active_adapters(modules: tuple[ModuleType | None, ...]) -> dict[str, Adapter]:
    """The adapters, given the modules of their libraries: asked several times in each run of a test."""
    names = find_plugins(__name__)
    return {name: _load_adapter(name) for name in names if name == STANDARD_LIBRARY or _is_imported(name)}


def _is_imported(name: str) -> bool:
    # sys.modules holds None for a forbidden import, and tests put mocks there: neither makes values.
    module = sys.modules.get(name)
    return isinstance(module, ModuleType) and module.__spec__ is not None


def find_array_adapter(value: object) -> Adapter | None:
    """The adapter of the library whose array *value* is, or None."""
    return next((adapter for adapter in active_adapters().values() if adapter.is_array(value)), None)


def find_generator_adapter(value: object) -> Adapter | None:
    """The adapter that reads the state of the random generator *value*, or None."""
    for adapter in active_adapters().values():
        with suppress(Exception):  # a user's class that only looks like a generator
            if adapter.state_key(value) is not None:
                return adapter
    return None


def find_kind_name(value: object) -> str:
    """What reports call *value*, if it is of an imported library: ``"module"``; ``""`` for other values."""
    names = (adapter.kind_name(value) for adapter in active_adapters().values())
    return next(filter(None, names), "")


def flatten(value: object) -> FlattenResult:
    """*value* as a leaf or as parts, or why it cannot be read, or None if no adapter knows it.

    Libraries come before the standard library: ``numpy.float64`` is a ``float`` as well.
    """
    result = flatten_known(value)
    return _flatten_by_protocol(value) if result is None else result


def flatten_known(value: object) -> FlattenResult:
    """As :func:`flatten`, without calling any method of *value*: for values that were not recorded."""
    adapters = active_adapters()
    standard = adapters.pop(STANDARD_LIBRARY)
    for adapter in adapters.values():
        result = adapter.flatten(value)
        if result is not None:
            return result
    return standard.flatten(value)


def _flatten_by_protocol(value: object) -> FlattenResult:
    """Arrays of libraries without an adapter: ``__array__``, or DLPack."""
    kind = type(value)
    if isinstance(value, type) or not (hasattr(kind, "__array__") or hasattr(kind, "__dlpack__")):
        return None
    import numpy

    foreign: Any = value
    try:
        array = numpy.asarray(foreign) if hasattr(kind, "__array__") else numpy.from_dlpack(foreign)
    except Exception as error:  # conversion by another library: on another device, of another dtype
        return f"is a {kind.__module__}.{kind.__qualname__} that cannot be converted to an array: {error}"
    return _load_adapter("numpy").flatten(array)


def digest(value: object) -> str:
    """Digest of *value*: equal for equal kinds and equal logical bytes, whatever the layout.

    Args:
        value: Anything that can be recorded: numbers, text, arrays, tensors, modules,
            optimisers, and dicts, lists, tuples, sets and dataclasses of them.

    Returns:
        32 hexadecimal digits, xxh3-128. It finds accidents, not attackers.

    Raises:
        TypeError: A part cannot be read; the message names its path and type.
    """
    leaves = [
        (path, hashing.digest(leaf.kind, leaf.read_chunks()))
        for path, leaf in iter_leaves(value, "value", flatten)
    ]
    if len(leaves) == 1 and leaves[0][0] == "":
        return leaves[0][1]
    lines = "\n".join(f"{path} {leaf_digest}" for path, leaf_digest in leaves)
    return hashing.digest("parts", [memoryview(lines.encode())])


def seed_all(seed: int) -> None:
    """Seeds every generator of every imported library with *seed*.

    Args:
        seed: 0 … 2**32 - 1. Each library gets the same number.

    Raises:
        ValueError: *seed* is not an integer in that range.
    """
    validate_seed(seed)
    for adapter in active_adapters().values():
        adapter.seed(seed)


@contextmanager
def pin_entropy(seed: int) -> Iterator[None]:
    """In the block, random numbers of the operating system come from *seed*."""
    # One sequence per library: it draws the same numbers whether or not others are imported.
    with patch_entropy(lambda: random.Random(seed)):
        yield


@contextmanager
def patch_entropy(make_source: Callable[[], EntropySource]) -> Iterator[None]:
    """In the block, random numbers of the operating system come from sources, one per library."""
    with ExitStack() as stack:
        for adapter in active_adapters().values():
            stack.enter_context(adapter.patch_entropy(make_source()))
        yield


def environment() -> dict[str, str]:
    """What could change a result on this machine, by name, of every imported library."""
    facts: dict[str, str] = {}
    for adapter in active_adapters().values():
        facts.update(adapter.environment())
    return facts


def environment_with_flags() -> dict[str, str]:
    """As :func:`environment`, with the current settings: precisions, determinism."""
    facts = environment()
    for adapter in active_adapters().values():
        facts.update(adapter.flags())
    return facts
