"""The standard library: ``random``, numbers, text, and containers."""

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

from pytest_repro.adapters import Adapter, Quick, Source
from pytest_repro.adapters._token_sequence import of_completion
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import Opened
from pytest_repro.core.runs.token_sequence import Completion
from pytest_repro.interpose.patch import Swap, replaced_everywhere

_PLAIN_KEYS = (str, int, float, bool, type(None), bytes, Enum, tuple)
_GLOBAL: random.Random = random.getstate.__self__  # type: ignore[attr-defined]
_OTHERS = ("PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that pytest, and torch when it is first asked, set by themselves."""
_LOW, _HIGH = -(2**63), 2**63


def _number(kind: type, value: Any) -> tuple[str, bytes]:
    """Element and bytes of a number, or of text where no dtype holds it."""
    if kind is bool:
        return "bool", bytes([value])
    if issubclass(kind, int):
        small = _LOW <= int(value) < _HIGH
        return ("int64", int(value).to_bytes(8, "little", signed=True)) if small else ("", b"%x" % int(value))
    if issubclass(kind, float):
        return "float64", struct.pack("<d", value)
    if issubclass(kind, complex):
        return "complex128", struct.pack("<dd", value.real, value.imag)
    return "", str(value).encode()


def _leaf(kind: str, element: str, content: bytes) -> Leaf:
    return Leaf(kind, element, (), len(content), lambda: (memoryview(content),))


def _quick_float(value: object) -> tuple[object, bytes]:
    return float, struct.pack("<d", value)


def _quick_int(value: Any) -> tuple[object, bytes] | None:
    return (int, value.to_bytes(8, "little", signed=True)) if _LOW <= value < _HIGH else None


def _scalar(kind: type, value: Any) -> Leaf | None:
    if issubclass(kind, (bool, int, float, complex, Decimal, Fraction)):
        return _leaf(kind.__name__, *_number(kind, value))
    if issubclass(kind, str):
        return _leaf("str", "", value.encode("utf-8", "surrogatepass"))
    if issubclass(kind, (bytes, bytearray)):
        return _leaf("bytes", "", bytes(value))
    if value is None:
        return _leaf("None", "", b"None")
    return None


def _state(generator: Any) -> Leaf:
    """The state of a ``random.Random`` as one leaf: 624 words, their position, the next Gaussian."""
    words, gaussian = generator.getstate()[1:]
    content = struct.pack(f"<{len(words)}Id", *words, 0.0 if gaussian is None else gaussian)
    count = len(content) // 4
    return Leaf(f"uint32[{count}]", "uint32", (count,), len(content), lambda: (memoryview(content),))


def _foreign(key: object) -> type | None:
    """The first type in *key* that has no order of its own: its text may hold an address."""
    if isinstance(key, tuple):
        return next((found for part in key if (found := _foreign(part)) is not None), None)
    return None if isinstance(key, _PLAIN_KEYS) else type(key)


def _key(key: object) -> str:
    return f"[{_member(key)}]" if isinstance(key, Enum) else f"[{key!r}]"


def _member(value: Any) -> str:
    """``Mode.FAST``; a combined flag without a name (Python 3.10) by its number."""
    return f"{type(value).__qualname__}.{value.name or value.value}"


def _of_dict(value: dict[Any, Any]) -> Opened:
    foreign = next((found for key in value if (found := _foreign(key)) is not None), None)
    if foreign is not None:
        return f"has a key of type {foreign.__qualname__}: only plain keys have an order"
    items = sorted(value.items(), key=lambda item: (type(item[0]).__name__, _key(item[0])))
    return Parts("dict", ((_key(key), part) for key, part in items))


def _of_set(value: set[Any] | frozenset[Any]) -> Leaf | str:
    from pytest_repro.adapters import digest

    try:
        members = "".join(sorted(digest(member) for member in value))
    except TypeError as error:
        return f"has a member that cannot be recorded: {error}"
    return _leaf(f"{type(value).__name__}[{len(value)}]", "", members.encode())


def _of_dataclass(value: Any) -> Parts:
    names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    return Parts(type(value).__qualname__, ((f".{name}", getattr(value, name)) for name in names))


def _of_sequence(value: Any) -> Parts:
    fields = getattr(type(value), "_fields", None)
    if isinstance(value, tuple) and fields is not None:
        kind = type(value).__qualname__
        return Parts(kind, ((f".{name}", part) for name, part in zip(fields, value)))
    kind = "tuple" if isinstance(value, tuple) else "list"
    return Parts(kind, ((f"[{index}]", part) for index, part in enumerate(value)))


def _entropy(source: Source) -> Iterator[Swap]:
    """What draws from the operating system, drawing from *source* instead."""
    real = random.Random.seed

    def urandom(size: int, /) -> bytes:
        return source.randbytes(size)

    def getrandom(size: int, flags: int = 0) -> bytes:
        return source.randbytes(size)

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        real(self, source.getrandbits(64) if a is None else a, version)

    yield Swap(os, "urandom", urandom)
    yield Swap(random, "_urandom", urandom)
    yield Swap(random.Random, "seed", seeded)
    yield Swap(random, "seed", partial(seeded, _GLOBAL))
    if hasattr(os, "getrandom"):
        yield Swap(os, "getrandom", getrandom)


@contextmanager
def _names_of_files_drawn() -> Iterator[None]:
    """``tempfile`` draws names from one generator of its own, which is made anew for the block."""
    module: Any = sys.modules.get("tempfile")
    if not hasattr(module, "_name_sequence"):  # a private name: left alone once it is gone
        yield
        return
    module.gettempdir()  # looked for once a process, by drawing names
    before = module._name_sequence
    module._name_sequence = None
    try:
        yield
    finally:
        module._name_sequence = before


class Python(Adapter):
    """Numbers, text, containers; the global generator of ``random``; the system's entropy."""

    quick: ClassVar[Mapping[type, Quick]] = {float: _quick_float, int: _quick_int}

    def described(self, token: object) -> tuple[str, str, tuple[int, ...]]:
        return ("float", "float64", ()) if token is float else ("int", "int64", ())

    def opened(self, value: object) -> Opened:
        if isinstance(value, Leaf):  # a part that is open already
            return value
        kind = type(value)  # not isinstance alone: a mock answers to the class it stands for
        if issubclass(kind, Enum):
            return _leaf(kind.__qualname__, "", _member(value).encode())
        if issubclass(kind, dict):
            return _of_dict(value)  # type: ignore[arg-type]
        if issubclass(kind, (list, tuple)):
            return _of_sequence(value)
        if issubclass(kind, (set, frozenset)):
            return _of_set(value)  # type: ignore[arg-type]
        if issubclass(kind, random.Random) and kind is not random.SystemRandom:
            return Parts("random.Random", ((".state", _state(value)),), numeric=True)
        if kind is Completion:
            return of_completion(value)  # type: ignore[arg-type]
        if dataclasses.is_dataclass(kind):
            return _of_dataclass(value)
        return _scalar(kind, value)

    def seed(self, seed: int) -> None:
        random.seed(seed)

    def states(self) -> Callable[[], None]:
        state = random.getstate()
        return lambda: random.setstate(state)

    def stands(self) -> object:
        return random.getstate()

    @contextmanager
    def pinned_entropy(self, source: Source) -> Iterator[None]:
        """``os.urandom``, ``secrets``, ``uuid4``, ``SystemRandom``, ``Random()``, temporary names."""
        with _names_of_files_drawn(), replaced_everywhere(_entropy(source)):
            yield

    def standing(self, generator: Any) -> str | None:
        kind = type(generator)
        # A class with a state of its own says by that what its state is.
        ours = issubclass(kind, random.Random) and kind.getstate is random.Random.getstate
        return json.dumps(generator.getstate()) if ours else None

    def stand(self, generator: Any, state: str) -> None:
        version, words, gaussian = json.loads(state)
        generator.setstate((version, tuple(words), gaussian))

    def generators(self) -> Mapping[str, object]:
        return {"random": _GLOBAL}

    def saved_by(self, generator: Any) -> str:
        owner = "random" if generator is _GLOBAL else ""
        return f"{owner}.getstate(), {owner}.setstate(…)"

    def place(self, generator: Any) -> object:
        kind = type(generator)
        ours = issubclass(kind, random.Random) and kind.getstate is random.Random.getstate
        return generator.getstate() if ours else None

    def switches(self) -> dict[str, str]:
        variables = {
            f"os.environ[{name!r}]": value for name, value in os.environ.items() if name not in _OTHERS
        }
        return {**variables, "the working folder": os.getcwd()}

    def environment(self) -> dict[str, str]:
        return {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "platform": f"{platform.system()} {platform.machine()}",
        }


adapter = Python()
