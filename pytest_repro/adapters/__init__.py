"""What can be read and controlled of each library, one file per library.

A file has the import name of its library and defines one object, ``adapter``. It is active once
its library is in ``sys.modules``: before that no value can be of the library, and none of its
generators was used. Other distributions use the entry point group ``pytest_repro.adapters``: see
:class:`Adapter`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, lru_cache
from types import MappingProxyType, ModuleType
from typing import Any

from pytest_repro.adapters._adapter import Adapter as Adapter
from pytest_repro.adapters._adapter import BoundaryCallback as BoundaryCallback
from pytest_repro.adapters._adapter import DrawOrigin as DrawOrigin
from pytest_repro.adapters._adapter import EntropySource as EntropySource
from pytest_repro.adapters._adapter import FastReader as FastReader
from pytest_repro.adapters._adapter import SwitchTooLate as SwitchTooLate
from pytest_repro.core.plan.arguments import validate_seed
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.core.runs.pytree import FlattenResult, iter_leaves
from pytest_repro.interpose.seeding import SeedingFunction, report_seeding
from pytest_repro.values import hashing

STANDARD_LIBRARY = "python"
"""The adapter of the standard library, which is always active."""


@cache
def _load_adapter(name: str) -> Adapter:
    adapter = load_plugin(__name__, name).adapter
    assert isinstance(adapter, Adapter)
    return adapter


def active_adapters() -> Mapping[str, Adapter]:
    """The adapters of the libraries imported so far, by name, in name order."""
    return _load_active_adapters(tuple(map(sys.modules.get, find_plugins(__name__))))


@lru_cache(maxsize=8)
def _load_active_adapters(modules: tuple[ModuleType | None, ...]) -> Mapping[str, Adapter]:
    """The adapters, given the modules of their libraries: asked several times in each run of a test."""
    names = [name for name in find_plugins(__name__) if name == STANDARD_LIBRARY or _is_imported(name)]
    return MappingProxyType({name: _load_adapter(name) for name in names})


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
    """*value* as a leaf or as parts, or why it cannot be recorded.

    Libraries come before the standard library: ``numpy.float64`` is a ``float`` as well.
    """
    result = flatten_known(value)
    return _flatten_plain_array(value) if result is None else result


def flatten_known(value: object) -> FlattenResult:
    """As :func:`flatten`, for values that were not recorded; None if no adapter knows the type."""
    adapters = active_adapters()
    for name, adapter in adapters.items():
        if name != STANDARD_LIBRARY and (result := adapter.flatten(value)) is not None:
            return result
    return adapters[STANDARD_LIBRARY].flatten(value)


def explain_alternative(value: object) -> str:
    """What to record instead of *value*; ``""`` if it can be recorded itself."""
    unknown = flatten_known(value) is None and not is_plain_array(value)
    return find_alternative(value) if unknown else ""


def _flatten_plain_array(value: Any) -> FlattenResult:
    """Arrays of libraries without an adapter that are nothing but numbers."""
    if not is_plain_array(value):
        return explain_unrecordable(value)
    import numpy

    try:
        array = numpy.asarray(value) if hasattr(value, "__array__") else numpy.from_dlpack(value)
    except Exception as error:  # conversion by another library: on another device, of another dtype
        kind = type(value)
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
        (path, hashing.digest(leaf.kind, leaf.read_chunks()), containers)
        for path, leaf, containers in iter_leaves(value, "value", flatten)
    ]
    if len(leaves) == 1 and not leaves[0][2]:
        return leaves[0][1]
    lines = "\n".join(f"{path} {leaf_digest} {containers}" for path, leaf_digest, containers in leaves)
    return hashing.digest("parts", [memoryview(lines.encode())])


def seed_all(seed: int) -> None:
    """Seeds every generator of every imported library with *seed*.

    Args:
        seed: 0 … 2**32 - 1. Each library gets the same number.

    Raises:
        ValueError: *seed* is not an integer in that range.
    """
    validate_seed(seed)
    with report_seeding(active_adapters()):
        for adapter in active_adapters().values():
            adapter.seed(seed)


def list_seeding_functions(libraries: tuple[str, ...]) -> list[SeedingFunction]:
    """The functions that set the global generators of *libraries*."""
    adapters = {name: _load_adapter(name) for name in libraries}
    return [
        SeedingFunction(name, *each)
        for name, adapter in adapters.items()
        for each in adapter.seeding_functions()
    ]


@contextmanager
def pin_entropy(seed: int) -> Iterator[None]:
    """In the block, random numbers of the operating system come from *seed*."""
    # One sequence per library: it draws the same numbers whether or not others are imported.
    with patch_entropy(lambda: random.Random(seed)):
        yield


@contextmanager
def patch_entropy(make_source: Callable[[], EntropySource], library: str = "") -> Iterator[None]:
    """In the block, random numbers of the operating system come from sources, one per library.

    Args:
        library: The one that is patched; ``""`` for all.
    """
    with ExitStack() as stack:
        for name, adapter in active_adapters().items():
            if library in ("", name):
                stack.enter_context(adapter.patch_entropy(make_source()))
        yield


def why_not_forkable() -> str:
    """Why a fork of this process could not compute; ``""`` if it could."""
    return next(filter(None, (adapter.why_not_forkable() for adapter in active_adapters().values())), "")


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


_PLAIN_ARRAYS = {("dpnp", "dpnp_array"), ("mlx", "array")}
"""Top package and class of arrays that are nothing but numbers. A subclass may hold more."""


def is_plain_array(value: object) -> bool:
    """Whether *value* is an array of another library that is nothing but its numbers."""
    kind = type(value)
    return (kind.__module__.partition(".")[0], kind.__name__) in _PLAIN_ARRAYS


def explain_unrecordable(value: object) -> str:
    """The end of a sentence that begins with the path of *value*."""
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    article = "an" if kind is object else "a"
    return f"is {article} {name}, which cannot be recorded: {find_alternative(value)}"


def find_alternative(value: object) -> str:
    """What to record instead of a value that cannot be recorded."""
    kind: Any = type(value)
    if hasattr(kind, "__array__") or hasattr(kind, "__dlpack__"):
        return "record numpy.asarray(x), and with it the labels or units that it would drop"
    if callable(getattr(kind, "fit", None)) and callable(getattr(kind, "get_params", None)):
        return "record its fitted attributes (.coef_, .tree_, …) or its predictions"
    if callable(getattr(kind, "state_dict", None)):
        return "record its .state_dict()"
    return (
        "record the numbers, text, arrays, tensors, modules or optimizers in it, "
        "or lists, tuples, dicts, sets or dataclasses of them"
    )
