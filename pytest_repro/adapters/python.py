"""The standard library: numbers, text, containers, ``random``."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import random
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from typing import Any, ClassVar

from pytest_repro.adapters import Adapter, EntropySource, FastReader
from pytest_repro.adapters._token_sequence import flatten_completion
from pytest_repro.core.runs.observation import Completion, Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.patch import Patch, patch_everywhere

_PLAIN_KEYS = (str, int, float, bool, type(None), bytes, Enum, tuple)
_GLOBAL_GENERATOR: random.Random = random.getstate.__self__  # type: ignore[attr-defined]
_IGNORED_VARIABLES = ("PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that pytest and torch set themselves."""
_INT64_MIN, _INT64_STOP = -(2**63), 2**63


def _encode_number(kind: type, value: Any) -> tuple[str, bytes]:
    """Dtype and bytes of a number; of its text, with dtype ``""``, if no dtype can hold it."""
    if kind is bool:
        return "bool", bytes([value])
    if issubclass(kind, int):
        fits = _INT64_MIN <= int(value) < _INT64_STOP
        return ("int64", int(value).to_bytes(8, "little", signed=True)) if fits else ("", b"%x" % int(value))
    if issubclass(kind, float):
        return "float64", struct.pack("<d", value)
    if issubclass(kind, complex):
        return "complex128", struct.pack("<dd", value.real, value.imag)
    return "", str(value).encode()


def _make_leaf(kind: str, dtype: str, content: bytes) -> Leaf:
    return Leaf(kind, dtype, (), len(content), lambda: (memoryview(content),))


def _read_float(value: object) -> tuple[object, bytes]:
    return float, struct.pack("<d", value)


def _read_int(value: Any) -> tuple[object, bytes] | None:
    return (int, value.to_bytes(8, "little", signed=True)) if _INT64_MIN <= value < _INT64_STOP else None


def _flatten_scalar(kind: type, value: Any) -> Leaf | None:
    if issubclass(kind, (bool, int, float, complex, Decimal, Fraction)):
        return _make_leaf(kind.__name__, *_encode_number(kind, value))
    if issubclass(kind, str):
        return _make_leaf("str", "", value.encode("utf-8", "surrogatepass"))
    if issubclass(kind, (bytes, bytearray)):
        return _make_leaf("bytes", "", bytes(value))
    if value is None:
        return _make_leaf("None", "", b"None")
    return None


def _flatten_state(generator: Any) -> Leaf:
    """The state of a ``random.Random`` as one leaf: 624 words, their position, the next Gaussian."""
    words, gaussian = generator.getstate()[1:]
    content = struct.pack(f"<{len(words)}Id", *words, 0.0 if gaussian is None else gaussian)
    count = len(content) // 4
    return Leaf(f"uint32[{count}]", "uint32", (count,), len(content), lambda: (memoryview(content),))


def _find_unordered_type(key: object) -> type | None:
    """The first type in *key* that cannot be sorted by its repr, which may hold an address."""
    if isinstance(key, tuple):
        return next((kind for part in key if (kind := _find_unordered_type(part)) is not None), None)
    return None if isinstance(key, _PLAIN_KEYS) else type(key)


def _format_key(key: object) -> str:
    return f"[{_format_member(key)}]" if isinstance(key, Enum) else f"[{key!r}]"


def _format_member(value: Any) -> str:
    """``Mode.FAST``; a combined flag without a name (Python 3.10) by its number."""
    return f"{type(value).__qualname__}.{value.name or value.value}"


def _flatten_dict(value: dict[Any, Any]) -> FlattenResult:
    unordered = _find_unordered_type(tuple(value))
    if unordered is not None:
        return f"has a key of type {unordered.__qualname__}: only plain keys have a fixed order"
    items = sorted(value.items(), key=lambda item: (type(item[0]).__name__, _format_key(item[0])))
    return Parts("dict", ((_format_key(key), part) for key, part in items))


def _flatten_set(value: set[Any] | frozenset[Any]) -> Leaf | str:
    from pytest_repro.adapters import digest

    try:
        members = "".join(sorted(digest(member) for member in value))
    except TypeError as error:
        return f"has a member that cannot be recorded: {error}"
    return _make_leaf(f"{type(value).__name__}[{len(value)}]", "", members.encode())


def _flatten_dataclass(value: Any) -> Parts:
    names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    return Parts(type(value).__qualname__, ((f".{name}", getattr(value, name)) for name in names))


def _flatten_sequence(value: Any) -> Parts:
    fields = getattr(type(value), "_fields", None)
    if isinstance(value, tuple) and fields is not None:
        kind = type(value).__qualname__
        return Parts(kind, ((f".{name}", part) for name, part in zip(fields, value)))
    kind = "tuple" if isinstance(value, tuple) else "list"
    return Parts(kind, ((f"[{index}]", part) for index, part in enumerate(value)))


def _make_entropy_patches(source: EntropySource) -> Iterator[Patch]:
    """Functions that draw from the operating system, replaced to draw from *source*."""
    real_seed = random.Random.seed

    def urandom(size: int, /) -> bytes:
        return source.randbytes(size)

    def getrandom(size: int, flags: int = 0) -> bytes:
        return source.randbytes(size)

    def seed_from_source(self: random.Random, a: Any = None, version: int = 2) -> None:
        real_seed(self, source.getrandbits(64) if a is None else a, version)

    yield Patch(os, "urandom", urandom)
    yield Patch(random, "_urandom", urandom)
    yield Patch(random.Random, "seed", seed_from_source)
    yield Patch(random, "seed", partial(seed_from_source, _GLOBAL_GENERATOR))
    if hasattr(os, "getrandom"):
        yield Patch(os, "getrandom", getrandom)


@contextmanager
def _reset_tempfile_names() -> Iterator[None]:
    """Gives ``tempfile``, which draws names from a private generator, a new one for the block."""
    module: Any = sys.modules.get("tempfile")
    if not hasattr(module, "_name_sequence"):  # private: Python may remove it
        yield
        return
    module.gettempdir()  # its first call in a process draws names
    before = module._name_sequence
    module._name_sequence = None
    try:
        yield
    finally:
        module._name_sequence = before


class Python(Adapter):
    """Numbers, text, containers, ``random``, random numbers of the operating system."""

    fast_readers: ClassVar[Mapping[type, FastReader]] = {float: _read_float, int: _read_int}

    def describe(self, kind_key: object) -> tuple[str, str, tuple[int, ...]]:
        return ("float", "float64", ()) if kind_key is float else ("int", "int64", ())

    def flatten(self, value: object) -> FlattenResult:
        if isinstance(value, Leaf):  # a part that an adapter made
            return value
        kind = type(value)  # not isinstance: a mock may be an instance of any class
        if issubclass(kind, Enum):
            return _make_leaf(kind.__qualname__, "", _format_member(value).encode())
        if issubclass(kind, dict):
            return _flatten_dict(value)  # type: ignore[arg-type]
        if issubclass(kind, (list, tuple)):
            return _flatten_sequence(value)
        if issubclass(kind, (set, frozenset)):
            return _flatten_set(value)  # type: ignore[arg-type]
        if issubclass(kind, random.Random) and kind is not random.SystemRandom:
            return Parts("random.Random", ((".state", _flatten_state(value)),), numeric=True)
        if kind is Completion:
            return flatten_completion(value)  # type: ignore[arg-type]
        if dataclasses.is_dataclass(kind):
            return _flatten_dataclass(value)
        return _flatten_scalar(kind, value)

    def kind_name(self, value: object) -> str:
        return "random.Random" if issubclass(type(value), random.Random) else ""

    def seed(self, seed: int) -> None:
        random.seed(seed)

    def save_global_states(self) -> Callable[[], None]:
        state = random.getstate()
        return lambda: random.setstate(state)

    def global_states_key(self) -> object:
        return random.getstate()

    @contextmanager
    def patch_entropy(self, source: EntropySource) -> Iterator[None]:
        """``os.urandom``, ``secrets``, ``uuid4``, ``SystemRandom``, ``Random()``, temporary names."""
        with _reset_tempfile_names(), patch_everywhere(_make_entropy_patches(source)):
            yield

    def get_state(self, generator: Any) -> str | None:
        state = self.state_key(generator)
        return None if state is None else json.dumps(state)

    def set_state(self, generator: Any, state: str) -> None:
        version, words, gaussian = json.loads(state)
        generator.setstate((version, tuple(words), gaussian))

    def global_generators(self) -> Mapping[str, object]:
        return {"random": _GLOBAL_GENERATOR}

    def state_api_hint(self, generator: Any) -> str:
        owner = "random" if generator is _GLOBAL_GENERATOR else ""
        return f"{owner}.getstate(), {owner}.setstate(…)"

    def state_key(self, generator: Any) -> object:
        kind = type(generator)
        # A subclass that overrides getstate() has a state of unknown form.
        is_known = issubclass(kind, random.Random) and kind.getstate is random.Random.getstate
        return generator.getstate() if is_known else None

    def switches(self) -> dict[str, str]:
        variables = {
            f"os.environ[{name!r}]": value
            for name, value in os.environ.items()
            if name not in _IGNORED_VARIABLES
        }
        return {**variables, "the working folder": os.getcwd()}

    def environment(self) -> dict[str, str]:
        return {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "platform": f"{platform.system()} {platform.machine()}",
        }


adapter = Python()
