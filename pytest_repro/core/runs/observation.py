"""What a run computed, one value at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_repro.core.text import escape_unprintable

Key = tuple[str, int, str]
"""``(name, step, path)``: the recorded name, how often it was recorded before, the way inside."""


@dataclass(frozen=True, slots=True)
class TokenContext:
    """What is known beside a sequence of tokens: not compared, but told where it parts.

    Attributes:
        sampling: Settings by name, as JSON has them.
        load_logits: Called without arguments, gives the logits: real numbers of shape (steps, vocabulary);
            once they are kept, in pieces of one row each; of another interpreter without pieces,
            until they are fetched.
    """

    sampling: Mapping[str, object] = field(default_factory=dict)
    load_logits: Callable[[], Leaf] | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value without parts, opened for reading.

    Attributes:
        kind: dtype and shape, ``"float32[4, 8]"``; a Python type name for what is no array.
        dtype: how the bytes are read back as numbers: a dtype name, or ``""`` for text.
        shape: Lengths of the axes; ``()`` for a scalar.
        nbytes: Number of logical bytes.
        read_chunks: Called without arguments, iterates over the logical bytes in C order,
            little-endian, as contiguous buffers. A buffer is valid until the next one is taken.
        numeric: Whether it is an array of numbers: only those count among local variables.
        metadata: What is known but not hashed: layout, strides, device, ``requires_grad``.
        token_context: Of a sequence of tokens, which is short: its content is always kept.
    """

    kind: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    read_chunks: Callable[[], Iterable[memoryview]]
    numeric: bool = False
    metadata: str = ""
    token_context: TokenContext | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A value made of named parts: a module, a dict, a list.

    Attributes:
        kind: The type's name, hashed when there are no items.
        items: ``(suffix, part)``, made as they are asked for; a suffix continues the path:
            ``.weight``, ``['lr']``, ``[2]``.
        numeric: Whether the whole counts as numeric whatever its parts are: an optimiser.
    """

    kind: str
    items: Iterable[tuple[str, object]]
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class ContentRef:
    """The content of a value too large to be kept inside its observation.

    Attributes:
        digest: xxh3-128 of kind and bytes, hexadecimal.
        storage: Where the values are kept, or None when only the digest is known.
    """

    digest: str
    storage: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """One value that one run computed.

    Attributes:
        key: Recorded name, step and path; equal in every run for what is compared.
        kind: dtype and shape, ``"float32[4, 8]"``.
        dtype: dtype name by which the bytes are read as numbers; ``""`` when they are text.
        shape: Lengths of the axes.
        content: The bytes themselves when they are few, else their digest.
        metadata: Layout, device, ``requires_grad``: told, not compared.
        token_context: Of the tokens of the reference run.
    """

    key: Key
    kind: str
    dtype: str
    shape: tuple[int, ...]
    content: bytes | ContentRef
    metadata: str = field(default="", compare=False)
    token_context: TokenContext | None = field(default=None, compare=False)


def format_key(key: Key, in_series: bool) -> str:
    """The name shown for *key*: ``loss``, ``loss[3]`` in a series, ``model.head[2].weight``."""
    name, step, path = key
    return escape_unprintable(f"{name}[{step}]{path}" if in_series else f"{name}{path}")
