"""The values that a run computed: as they are flattened, and as they are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_repro.core.text import escape_unprintable

Key = tuple[str, int, str]
"""``(name, step, path)``: recorded name, number of earlier recordings of it, path inside the value."""

TOKENS_KIND = "tokens"
"""The kind of token sequences of any length."""


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """A sequence of tokens to record or return; where runs diverge, its logits are reported.

    The tokens and the sampling settings are compared. The logits are not: they only show how close the two
    candidates are at the token where runs diverge.

    Attributes:
        tokens: Token ids, integers of shape (steps,), or a list of texts.
        logits: Real numbers of shape (steps, vocabulary), or a list of rows, one for each token; or None.
        sampling: Settings such as ``{"temperature": 0.7, "top_p": 0.9}``: numbers, texts and bools. Settings
            that are None are ignored.
    """

    tokens: object
    logits: object = None
    sampling: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenContext:
    """What is reported of a token sequence where it diverges; it is not compared.

    Attributes:
        sampling: Sampling settings by name: plain JSON values.
        load_logits: Returns the logits, real numbers of shape (steps, vocabulary). Once they are stored, each
            chunk is a row; those of another interpreter have no chunks until they are fetched.
    """

    sampling: Mapping[str, object] = field(default_factory=dict)
    load_logits: Callable[[], Leaf] | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value without parts, ready to be read.

    Attributes:
        kind: dtype and shape, ``"float32[4, 8]"``; the name of a Python type for anything but an array.
        dtype: Name of the dtype of the bytes; ``""`` for text.
        shape: Shape; ``()`` for a scalar.
        nbytes: Number of logical bytes.
        read_chunks: Iterates over the logical bytes, in C order and little-endian, as contiguous buffers.
            Each buffer is valid until the next one.
        numeric: Whether it is an array of numbers: of local variables, only those are observed.
        metadata: Layout, strides, device and ``requires_grad``, which are not hashed.
        token_context: For a token sequence, whose content is always stored.
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
    """A value with named parts: a module, a dict, a list.

    Attributes:
        kind: Name of the type, hashed if there are no items.
        items: ``(suffix, part)``, maybe lazy; a suffix continues the path: ``.weight``, ``['lr']``, ``[2]``.
        numeric: Whether all parts count as numeric, as those of an optimiser do.
    """

    kind: str
    items: Iterable[tuple[str, object]]
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class ContentRef:
    """Refers to the content of a value too large to be part of its observation.

    Attributes:
        digest: xxh3-128 of kind and bytes, hexadecimal.
        storage: Where the bytes are stored; None if only the digest is known.
    """

    digest: str
    storage: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """One value that a run computed; its kind, dtype and shape are those of its :class:`Leaf`.

    Attributes:
        key: Recorded name, step and path; values of equal keys are compared.
        content: The bytes if they are few, else a reference to them.
        metadata: Layout, device and ``requires_grad``, which are reported and not compared.
        token_context: For a token sequence of the reference run.
    """

    key: Key
    kind: str
    dtype: str
    shape: tuple[int, ...]
    content: bytes | ContentRef
    metadata: str = field(default="", compare=False)
    token_context: TokenContext | None = field(default=None, compare=False)


def format_key(key: Key, in_series: bool) -> str:
    """The displayed name of *key*: ``loss``, ``loss[3]`` in a series, ``model.head[2].weight``."""
    name, step, path = key
    return escape_unprintable(f"{name}[{step}]{path}" if in_series else f"{name}{path}")
