"""Floor 2: what is held fixed and what can be read, one file per library.

A file is named as the library is imported and holds one object, ``adapter``. It wakes once its
library is in ``sys.modules``: before that no value can be the library's, and none of its
generators has been asked. Other distributions add theirs as entry points of the group
``pytest_repro.adapters``, named likewise.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pytest_repro.core.plan.plan import Deterministic, validate_seed
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.core.runs.pytree import FlattenResult, iter_leaves
from pytest_repro.values import hashing

if TYPE_CHECKING:
    from pytest_repro.adapters._draw_origin import BoundaryCallback

STANDARD_LIBRARY = "python"
"""The adapter of the standard library, which is always awake."""

FastReader = Callable[[object], "tuple[object, bytes] | None"]
"""Reads a small value of one exact type at once: what stands for its kind, and its bytes."""


class EntropySource(Protocol):
    """What is asked in the place of the operating system; a ``random.Random`` is one."""

    def getrandbits(self, k: int, /) -> int:
        """A number of *k* bits."""

    def randbytes(self, n: int, /) -> bytes:
        """*n* bytes."""


class Adapter:
    """What is known about one library. Every method may be left as it is."""

    #: Values of at most this many bytes are kept as they are instead of being digested.
    fast_readers: ClassVar[Mapping[type, FastReader]] = {}

    def flatten(self, value: object) -> FlattenResult:
        """*value* as a leaf or as parts, why it cannot be read, or None when it is not ours."""
        return None

    def describe(self, kind_key: object) -> tuple[str, str, tuple[int, ...]]:
        """Kind, element and shape of what a quick reader called *kind_key*."""
        raise NotImplementedError

    def seed(self, seed: int) -> None:
        """Seeds every global generator of the library with *seed*, 0 … 2**32 - 1."""

    def save_global_states(self) -> Callable[[], None]:
        """Takes the state of every global generator; the function given back restores it."""
        return lambda: None

    def global_states_key(self) -> object:
        """Where the global generators of the library stand: equal until one of them is asked."""
        return None

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        """Sets every determinism switch of the library to *mode*; restores them."""
        return nullcontext()

    def patch_entropy(self, source: EntropySource) -> AbstractContextManager[None]:
        """Has *source* asked for what the library takes from the operating system."""
        return nullcontext()

    def synchronize(self) -> None:
        """Waits until devices have done what was asked of them: before a clock is read."""

    def get_state(self, generator: object) -> str | None:
        """Where *generator* stands, as text; None for what is no generator of the library."""
        return None

    def set_state(self, generator: object, state: str) -> None:
        """Puts *generator* where :meth:`get_state` said; may raise anything where *state* is no such text."""

    def global_generators(self) -> Mapping[str, object]:
        """The global generators, by name: ``torch cpu``."""
        return {}

    def state_key(self, generator: object) -> object:
        """As :meth:`get_state`, as anything that is quick to read and to compare."""
        return self.get_state(generator)

    def state_api_hint(self, generator: object) -> str:
        """How its place is saved and restored, in code: ``random.getstate(), random.setstate(…)``."""
        return ""

    def watch_draws(self, on_boundary: BoundaryCallback) -> AbstractContextManager[None]:
        """Has *on_boundary* called, in this thread, whenever a part of something larger begins or ends."""
        return nullcontext()

    def environment(self) -> dict[str, str]:
        """What else could change a result: versions, thread counts, instruction sets, devices.

        The same names wherever it is asked: what is not there is told as such. No time, no name of
        a machine.
        """
        return {}

    def flags(self) -> dict[str, str]:
        """What is set now and could change a result: precisions, determinism. The same names always."""
        return {}

    def switches(self) -> dict[str, str]:
        """What is set process-wide and could be left set by a run, by name."""
        return {}


@cache
def _load_adapter(name: str) -> Adapter:
    found = load_plugin(__name__, name).adapter
    assert isinstance(found, Adapter)
    return found


def active_adapters() -> dict[str, Adapter]:
    """The adapters of the libraries imported so far, by name, in name order."""
    names = find_plugins(__name__)
    return {name: _load_adapter(name) for name in names if name == STANDARD_LIBRARY or _is_imported(name)}


def _is_imported(name: str) -> bool:
    # None there forbids an import, and a test may put a mock or a stub there: none makes values.
    module = sys.modules.get(name)
    return isinstance(module, ModuleType) and module.__spec__ is not None


def flatten(value: object) -> FlattenResult:
    """*value* as a leaf or as parts, or why it cannot be read, or None for what nobody knows.

    Libraries come before the standard library: ``numpy.float64`` is a ``float`` as well.
    """
    found = flatten_known(value)
    return _flatten_by_protocol(value) if found is None else found


def flatten_known(value: object) -> FlattenResult:
    """As :func:`flatten`, but nothing of *value* is called: for what nobody asked to be read."""
    adapters = active_adapters()
    standard = adapters.pop(STANDARD_LIBRARY)
    for adapter in adapters.values():
        found = adapter.flatten(value)
        if found is not None:
            return found
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
    except Exception as error:  # somebody else's conversion: on another device, of another dtype
        return f"is a {kind.__module__}.{kind.__qualname__} that does not become an array: {error}"
    return _load_adapter("numpy").flatten(array)


def digest(value: object) -> str:
    """Digest of *value*: equal for equal kinds and equal logical bytes, whatever the layout.

    Args:
        value: Anything that can be recorded: numbers, text, arrays, tensors, modules,
            optimisers, and dicts, lists, tuples, sets and dataclasses of them.

    Returns:
        32 hexadecimal digits, xxh3-128. It finds accidents, not attackers.

    Raises:
        TypeError: Something in it cannot be read; the message names its path and type.
    """
    found = [(p, hashing.digest(x.kind, x.read_chunks())) for p, x in iter_leaves(value, "value", flatten)]
    if len(found) == 1 and found[0][0] == "":
        return found[0][1]
    joined = "\n".join(f"{path} {each}" for path, each in found)
    return hashing.digest("parts", [memoryview(joined.encode())])


def seed_all(seed: int) -> None:
    """Seeds every generator of every imported library with *seed*.

    Args:
        seed: 0 … 2**32 - 1. It is given to each library as it is.

    Raises:
        ValueError: *seed* is no whole number in that range.
    """
    validate_seed(seed)
    for adapter in active_adapters().values():
        adapter.seed(seed)


@contextmanager
def pin_entropy(seed: int) -> Iterator[None]:
    """Everything that is drawn from the operating system is drawn from *seed* instead."""
    # Each library has a sequence of its own: it draws the same whether others are imported or not.
    with patch_entropy(lambda: random.Random(seed)):
        yield


@contextmanager
def patch_entropy(make_source: Callable[[], EntropySource]) -> Iterator[None]:
    """Everything that is drawn from the operating system is asked of sources, one for each library.

    Args:
        make_source: Gives a source.
    """
    with ExitStack() as stack:
        for adapter in active_adapters().values():
            stack.enter_context(adapter.patch_entropy(make_source()))
        yield


def environment() -> dict[str, str]:
    """What could change a result on this machine, by name, of every imported library."""
    found: dict[str, str] = {}
    for adapter in active_adapters().values():
        found.update(adapter.environment())
    return found


def environment_with_flags() -> dict[str, str]:
    """As :func:`environment`, and what is set at this moment: precisions, determinism."""
    found = environment()
    for adapter in active_adapters().values():
        found.update(adapter.flags())
    return found
