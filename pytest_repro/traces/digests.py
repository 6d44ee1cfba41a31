"""Digests of tensors and numbers as 64 bits: kind first, then the logical bytes."""

from __future__ import annotations

import ctypes
import marshal
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import lru_cache
from typing import Any, NamedTuple, cast

import torch
from xxhash import xxh3_64, xxh3_64_intdigest

from pytest_repro.adapters._torch.tensors import flatten_tensor
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.trace.columns import StringTable
from pytest_repro.traces.device_hashing import digest_on_device
from pytest_repro.traces.known_memory import PLAIN_TENSORS

_SPARSE_PARTS = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}

FAKE_TENSOR = "FakeTensor"
"""Name of the class of tensors without values, with which torch tries programs."""

_disable_dispatch: Callable[[], AbstractContextManager[Any]]
_disable_dispatch = getattr(torch._C, "_DisableTorchDispatch", nullcontext)


class DeviceDigest(NamedTuple):
    """A digest that still lies on a device: an int64 tensor of shape (), and the kind's seed."""

    scalar: Any
    seed: int


Digest = int | DeviceDigest | None
"""0: could not be digested; None: has no values, as on the meta device."""


def hide_from_modes() -> ExitStack:
    """Within it, what we ask of torch is seen by no mode and no tensor subclass, the user's or ours."""
    stack = ExitStack()
    stack.enter_context(torch._C.DisableTorchFunction())
    stack.enter_context(_disable_dispatch())
    stack.enter_context(torch.no_grad())
    return stack


class _Kind(NamedTuple):
    """What is known of all tensors of one dtype and shape."""

    number: int
    seed: int
    read: Callable[[int], Any] | None


class Digester:
    """Digests values, and numbers their kinds."""

    __slots__ = ("_kinds", "_stride_seeds", "_texts")

    def __init__(self, texts: StringTable) -> None:
        self._texts = texts
        self._kinds: dict[Any, _Kind] = {}
        self._stride_seeds: dict[Any, int] = {}

    def digest_tensor(self, t: Any) -> tuple[int, Digest]:
        """Number of the kind of the tensor *t*, and its digest.

        A tensor on the CPU that fills its memory is hashed by its pointer, in 1 µs when it is
        small. No op of torch runs for that, so that no mode notices. Where it fills its memory in
        another order than C's (transposed, channels last) the bytes are hashed as they lie, together
        with the strides: putting them in order would take ten times as long.
        """
        try:
            key = t.dtype, t.shape
        except RuntimeError:  # a nested tensor has no shape
            key = t.dtype, None
        number, seed, read = self._kinds.get(key) or self._add_kind(key)
        try:  # sparse and wrapper tensors raise: asking each whether it is one takes time
            if read is not None and type(t) in PLAIN_TENSORS and t.is_cpu and not t.is_neg():
                if not t.is_contiguous():
                    seed = self._stride_seed(key, t.stride(), seed)
                place = t.data_ptr()
                if place and seed:
                    return number, xxh3_64_intdigest(read(place), seed) or 1
        except RuntimeError:
            pass
        return number, self._digest_slowly(t, self._kinds[key].seed)

    def kind_number(self, t: Any) -> int:
        """Number of the kind of the tensor *t*."""
        key = t.dtype, None if t.is_nested else t.shape
        return (self._kinds.get(key) or self._add_kind(key)).number

    def _stride_seed(self, key: Any, strides: tuple[int, ...], seed: int) -> int:
        """A seed for tensors of these strides; 0 for those that do not fill their memory."""
        found = self._stride_seeds.get((key, strides))
        if found is None:
            filled = _is_non_overlapping_and_dense(key[1], strides)
            found = self._stride_seeds[key, strides] = digest_plain((seed, strides)) if filled else 0
        return found

    def digest_scalar(self, value: object) -> tuple[int, Digest]:
        """The same for a number that an op gave."""
        return self._texts.intern(type(value).__name__), digest_plain(value)

    def _add_kind(self, key: Any) -> _Kind:
        dtype, shape = key
        name = str(dtype).removeprefix("torch.")
        text = f"{name}[nested]" if shape is None else f"{name}{list(shape)}"
        # Complex tensors may be conjugated views, whose memory holds other numbers; quantised ones
        # are more than their memory.
        slow = shape is None or dtype.is_complex or name.startswith("q")
        read = None if slow else _make_reader(dtype.itemsize * math.prod(shape))
        self._kinds[key] = met = _Kind(self._texts.intern(text), xxh3_64_intdigest(text.encode()), read)
        return met

    def _digest_slowly(self, t: Any, seed: int) -> Digest:
        try:
            with hide_from_modes():
                return _digest(t, seed)
        except Exception:  # whatever a tensor of somebody's may do: the program must go on
            return 0


def digest_plain(value: object) -> int:
    """Digest of numbers, text and lists of them; 0 where something else is among them.

    Python's own hash would do for numbers, but -1 and -2 have the same, and NaN one by address.
    """
    try:
        return xxh3_64_intdigest(marshal.dumps(cast("Any", value), 2)) or 1
    except ValueError:
        return 0


@lru_cache(4096)
def _make_reader(size: int) -> Callable[[int], Any]:
    """Makes a buffer of *size* bytes of an address."""
    read: Callable[[int], Any] = (ctypes.c_char * size).from_address
    return read


def _is_non_overlapping_and_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether elements of these strides fill their memory, without gaps and without overlap."""
    expected = 1
    for stride, length in sorted((s, n) for s, n in zip(strides, shape) if n != 1):
        if stride != expected:
            return False
        expected *= length
    return True


def should_digest_on_device(t: Any) -> bool:
    """Whether *t* is digested where it lies, since reading it here would cost a transfer."""
    return not t.is_cpu


def has_no_values(t: Any) -> bool:
    """Whether *t* stands for a tensor without being one."""
    return bool(t.is_meta) or type(t).__name__ == FAKE_TENSOR


def _digest(t: Any, seed: int) -> Digest:
    if has_no_values(t):
        return None
    if t.layout in _SPARSE_PARTS:
        return _combine_digests([_digest_part(_read_part(t, name)) for name in _SPARSE_PARTS[t.layout]], seed)
    if should_digest_on_device(t) and t.layout is torch.strided and not (t.is_quantized or t.is_nested):
        with suppress(RuntimeError):  # not every device has these ops: then it is read here
            return DeviceDigest(digest_on_device(t), seed)
    return _digest_leaves(flatten_tensor(t), seed)


def _read_part(t: Any, name: str) -> Any:
    return getattr(t, name)()


def _digest_part(t: Any) -> int:
    found = _digest(t, 0)
    return fetch_digests([found])[0] if isinstance(found, DeviceDigest) else found or 0


def _digest_leaves(opened: Any, seed: int) -> int:
    if isinstance(opened, Parts):
        items = [
            _digest_leaves(flatten_tensor(part), seed) for _, part in opened.items if torch.is_tensor(part)
        ]
        return _combine_digests(items, seed)
    if not isinstance(opened, Leaf):
        return 0
    # The kind tells scale and zero point of quantised values; shape and dtype it tells anyway.
    hasher = xxh3_64(opened.kind.encode(), seed=seed)
    for piece in opened.read_chunks():
        hasher.update(piece)
    return hasher.intdigest() or 1


def _combine_digests(digests: list[int], seed: int) -> int:
    return xxh3_64_intdigest(b"".join(each.to_bytes(8, "little") for each in digests), seed) or 1


def fetch_digests(digests: list[DeviceDigest]) -> list[int]:
    """Reads digests from one device in one transfer."""
    with hide_from_modes():
        lanes = torch.stack([each.scalar for each in digests]).cpu().tolist()
    return [_combine_digests([lane % 2**64], each.seed) for lane, each in zip(lanes, digests)]
