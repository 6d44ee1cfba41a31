"""The values that a run computed: as they are flattened, as they are kept, and which count at a level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, NamedTuple

from pytest_repro.core.plan.plan import Level
from pytest_repro.core.text import escape_unprintable

Key = tuple[str, int, str]
"""``(name, step, path)``: recorded name, number of earlier recordings of it, path inside the value."""

ELEMENT_DTYPES = frozenset(["utf8", "binary", "objects"])
"""Dtypes of arrays whose elements have any length: text, bytes, Python objects."""

BYTES_KINDS = ("bytes", "bytearray")
"""Kinds of bytes, which are shown as such."""

_CODED = ("datetime", "timedelta", "timestamp", "duration", "date", "time", "period", "category")

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

    *load_logits* returns real numbers of shape (steps, vocabulary). Once they are stored, each chunk is a
    row; those of another interpreter have no chunks until they are fetched.
    """

    sampling: Mapping[str, object] = field(default_factory=dict)  # settings by name: plain JSON values
    load_logits: Callable[[], Leaf] | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value without parts, ready to be read.

    *read_chunks* iterates over the logical bytes, in C order and little-endian, as contiguous buffers. Each
    buffer is valid until the next one.
    """

    kind: str  # dtype and shape, ``"float32[4, 8]"``; the name of a Python type for anything but an array
    dtype: str  # name of the dtype of the bytes; ``""`` for text; or one of ``ELEMENT_DTYPES``
    shape: tuple[int, ...]  # ``()`` for a scalar
    nbytes: int  # logical bytes
    read_chunks: Callable[[], Iterable[memoryview]]
    numeric: bool = False  # whether it is an array of numbers: of local variables, only those are observed
    metadata: str = ""  # layout, strides, device and ``requires_grad``, which are not hashed
    token_context: TokenContext | None = None  # for a token sequence, whose content is always stored


def make_leaf(kind: str, content: bytes | str, dtype: str = "") -> Leaf:
    """A leaf without a shape, of bytes or text."""
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return Leaf(kind, dtype, (), len(raw), lambda: (memoryview(raw),))


@dataclass(frozen=True, slots=True)
class Parts:
    """A value with named parts: a module, a dict, a list.

    *items* are ``(suffix, part)``, maybe lazy; a suffix continues the path: ``.weight``, ``['lr']``, ``[2]``.
    """

    kind: str  # name of the type, which is compared
    items: Iterable[tuple[str, object]]
    numeric: bool = False  # whether all parts count as numeric, as those of a module or optimiser do


Container = tuple[str, str]
"""Path inside the recorded value, and kind, of a value with parts: ``("['weights']", "tuple")``."""


@dataclass(frozen=True, slots=True)
class ContentRef:
    """Refers to the content of a value too large to be part of its observation."""

    digest: str  # xxh3-128 of kind and bytes, hexadecimal
    storage: object = field(default=None, compare=False)  # None if only the digest is known


@dataclass(frozen=True, slots=True)
class Observation:
    """One value that a run computed; values of equal keys are compared, in *kind* and *content*.

    *containers* are the values with parts of which it is the first leaf: so each is kept once.
    """

    key: Key
    kind: str  # as are *dtype* and *shape*, that of the :class:`Leaf`
    dtype: str
    shape: tuple[int, ...]
    content: bytes | ContentRef
    metadata: str = field(default="", compare=False)  # layout, device, ``requires_grad``: only reported
    token_context: TokenContext | None = field(default=None, compare=False)  # in the reference run
    containers: tuple[Container, ...] = ()


def is_coded(kind: str) -> bool:
    """Whether the integers of an array of *kind* stand for moments, spans of time or categories.

    They are equal or not: how far the integers are apart says nothing that a tolerance could be for.
    """
    return kind.lower().startswith(_CODED)


def format_key(key: Key, in_series: bool) -> str:
    """The displayed name of *key*: ``loss``, ``loss[3]`` in a series, ``model.head[2].weight``."""
    name, step, path = key
    text = f"{name}[{step}]{path}" if in_series else f"{name}{path}"
    return text if text.isprintable() else escape_unprintable(text)


def make_key_unique(key: Key, used: Mapping[Key, Observation]) -> Key:
    """*key*, made unique if two parts have one path (two keys of a dict that print alike)."""
    if key not in used:
        return key
    name, step, path = key
    return next(k for n in count(2) if (k := (name, step, f"{path}#{n}")) not in used)


ARRAY_EXCLUSION = "of arrays, those of integers and bools count"
"""Why a directly recorded array of floats counts at neither ``process`` nor ``outcome``."""


Agreeing = Literal["", "numbers", "close numbers", "parts"]
"""What agrees while parts of modules and objects do not: every recorded number, or most of the parts."""


class LevelResult(NamedTuple):
    """The requested level of a test, and the strictest one that its runs reached."""

    requested: Level
    reached: Level | Literal["none"]


def is_recorded_directly(key: Key) -> bool:
    """Whether the value of *key* was recorded itself, or in dicts, lists and tuples."""
    name, _, path = key
    is_local = name.rpartition(".")[2] == "locals"  # "rank0.locals" in a rank
    return "." not in (path[1:] if is_local else path)


def is_number(observation: Observation) -> bool:
    """Whether *observation* is one number, or one text."""
    return (
        all(length == 1 for length in observation.shape)
        and is_recorded_directly(observation.key)
        and (observation.shape == () or "float" in observation.dtype)
    )


def is_prediction(observation: Observation) -> bool:
    """Whether *observation* is an array of integers or bools."""
    return (
        observation.shape != ()
        and is_recorded_directly(observation.key)
        and observation.dtype.startswith(("int", "uint", "bool"))
    )


def explain_exclusion(observation: Observation) -> str:
    """Why *observation* counts at neither ``process`` nor ``outcome``: ``loss float32[1]: of arrays, …``."""
    why = ARRAY_EXCLUSION if is_recorded_directly(observation.key) else "a module or an object has it inside"
    return f"{format_key(observation.key, False)} {observation.kind}: {why}"


def select_at_level(
    level: Level, observations: Mapping[Key, Observation], reference: Mapping[Key, Observation] | None = None
) -> Mapping[Key, Observation]:
    """The observations of one run that count at *level*, in their order.

    *reference* has those that count of the run that it is compared with: at ``outcome`` last steps get the
    key that they have there, even if the numbers of steps differ.
    """
    if level == "bitwise":
        return observations
    selected = {key: each for key, each in observations.items() if is_number(each) or is_prediction(each)}
    if level == "process":
        return selected
    reference_keys = {(name, path): (name, step, path) for name, step, path in reference or ()}
    last = select_last_steps(selected)
    return {reference_keys.get((each.key[0], each.key[2]), key): each for key, each in last.items()}


def select_last_steps(observations: Mapping[Key, Observation]) -> dict[Key, Observation]:
    """The last step of each series, in the order in which the series start."""
    last = {(name, path): (name, step, path) for name, step, path in observations}
    return {key: observations[key] for key in last.values()}
