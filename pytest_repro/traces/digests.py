"""64-bit digests of tensors and numbers: of the kind, then of the logical bytes."""

from __future__ import annotations

import ctypes
import marshal
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple, cast

import torch
from xxhash import xxh3_64, xxh3_64_intdigest

from pytest_repro.adapters._torch.tensors import flatten_tensor
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.core.trace.columns import Columns, StringTable
from pytest_repro.traces.device_hashing import digest_on_device
from pytest_repro.traces.known_memory import PLAIN_TENSORS

_SPARSE_PARTS = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}

_MAX_PENDING = 4096  # each digest that was not fetched takes 512 bytes on its device

FAKE_TENSOR = "FakeTensor"
"""Class name of tensors without values, with which ``torch.compile`` runs a program symbolically."""

_disable_dispatch: Callable[[], AbstractContextManager[Any]]
_disable_dispatch = getattr(torch._C, "_DisableTorchDispatch", nullcontext)


class DeviceDigest(NamedTuple):
    """A digest on a device: an int64 tensor of shape (), and the seed of the kind."""

    scalar: Any
    seed: int


Digest = int | DeviceDigest | None
"""0: the value cannot be digested; None: it has no values, as on the meta device."""


def hide_from_modes() -> ExitStack:
    """In the block, no mode and no tensor subclass, the user's or ours, sees our calls of torch."""
    stack = ExitStack()
    stack.enter_context(torch._C.DisableTorchFunction())
    stack.enter_context(_disable_dispatch())
    stack.enter_context(torch.no_grad())
    return stack


class _Kind(NamedTuple):
    """What all tensors of one dtype and shape have in common; *read* makes a buffer of an address."""

    number: int
    seed: int
    read: Callable[[int], Any] | None


class Digester:
    """Digests values and numbers their kinds."""

    __slots__ = ("_kind_names", "_kinds", "_stride_seeds")

    def __init__(self, kind_names: StringTable) -> None:
        self._kind_names = kind_names
        self._kinds: dict[Any, _Kind] = {}
        self._stride_seeds: dict[Any, int] = {}

    def digest_tensor(self, t: Any) -> tuple[int, Digest]:
        """Number of the kind of the tensor *t*, and its digest.

        A dense tensor on the CPU is hashed through its pointer, in 1 µs if it is small, without an op of
        torch that a mode could see. If it is not in C order (transposed, channels last), the bytes
        are hashed in memory order together with the strides: reordering takes ten times as long.
        """
        try:
            key = t.dtype, t.shape
        except RuntimeError:  # a nested tensor has no shape
            key = t.dtype, None
        number, seed, read = self._kinds.get(key) or self._add_kind(key)
        try:  # sparse and wrapper tensors raise: checking each takes time
            if read is not None and type(t) in PLAIN_TENSORS and t.is_cpu and not t.is_neg():
                if not t.is_contiguous():
                    seed = self._stride_seed(key, t.stride(), seed)
                address = t.data_ptr()
                if address and seed:
                    return number, xxh3_64_intdigest(read(address), seed) or 1
        except RuntimeError:
            pass
        return number, self._digest_slowly(t, self._kinds[key].seed)

    def kind_number(self, t: Any) -> int:
        """Number of the kind of the tensor *t*."""
        key = t.dtype, None if t.is_nested else t.shape
        return (self._kinds.get(key) or self._add_kind(key)).number

    def _stride_seed(self, key: Any, strides: tuple[int, ...], seed: int) -> int:
        """A seed for tensors with these strides; 0 if they have gaps or overlap."""
        stride_seed = self._stride_seeds.get((key, strides))
        if stride_seed is None:
            is_dense = _is_non_overlapping_and_dense(key[1], strides)
            stride_seed = self._stride_seeds[key, strides] = digest_plain((seed, strides)) if is_dense else 0
        return stride_seed

    def digest_scalar(self, value: object) -> tuple[int, Digest]:
        """As :meth:`digest_tensor`, for a number that an op returned."""
        return self._kind_names.intern(type(value).__name__), digest_plain(value)

    def _add_kind(self, key: Any) -> _Kind:
        dtype, shape = key
        name = str(dtype).removeprefix("torch.")
        text = f"{name}[nested]" if shape is None else f"{name}{list(shape)}"
        # The memory of a complex tensor may be conjugated; a quantised one also has scale and zero point.
        is_slow = shape is None or dtype.is_complex or name.startswith("q")
        read = None if is_slow else _make_reader(dtype.itemsize * math.prod(shape))
        kind = _Kind(self._kind_names.intern(text), xxh3_64_intdigest(text.encode()), read)
        self._kinds[key] = kind
        return kind

    def _digest_slowly(self, t: Any, seed: int) -> Digest:
        try:
            with hide_from_modes():
                return _digest(t, seed)
        except Exception:  # a user's tensor subclass may raise anything, the program must continue
            return 0


def digest_plain(value: object) -> int:
    """Digest of numbers, text and lists of them; 0 if anything else is among them.

    Python's hash is no alternative: -1 and -2 have the same, and that of NaN depends on its address.
    """
    try:
        return xxh3_64_intdigest(marshal.dumps(cast("Any", value), 2)) or 1
    except ValueError:
        return 0


@lru_cache(4096)
def _make_reader(size: int) -> Callable[[int], Any]:
    read: Callable[[int], Any] = (ctypes.c_char * size).from_address
    return read


def _is_non_overlapping_and_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements of a tensor have neither gaps nor overlap in memory."""
    expected = 1
    for stride, length in sorted((s, n) for s, n in zip(strides, shape) if n != 1):
        if stride != expected:
            return False
        expected *= length
    return True


def should_digest_on_device(t: Any) -> bool:
    """Whether reading *t* would need a transfer."""
    return not t.is_cpu


def has_no_values(t: Any) -> bool:
    """Whether *t* is a meta or a fake tensor."""
    return bool(t.is_meta) or type(t).__name__ == FAKE_TENSOR


def _digest(t: Any, seed: int) -> Digest:
    if has_no_values(t):
        return None
    if t.layout in _SPARSE_PARTS:
        return _combine_digests([_digest_part(getattr(t, name)()) for name in _SPARSE_PARTS[t.layout]], seed)
    if should_digest_on_device(t) and t.layout is torch.strided and not (t.is_quantized or t.is_nested):
        with suppress(RuntimeError):  # not every device has these ops: then it is transferred
            return DeviceDigest(digest_on_device(t), seed)
    return _digest_leaves(flatten_tensor(t), seed)


def _digest_part(t: Any) -> int:
    digest = _digest(t, 0)
    return fetch_digests([digest])[0] if isinstance(digest, DeviceDigest) else digest or 0


def _digest_leaves(flat: FlattenResult, seed: int) -> int:
    if isinstance(flat, Parts):
        tensors = [part for _, part in flat.items if torch.is_tensor(part)]
        return _combine_digests([_digest_leaves(flatten_tensor(t), seed) for t in tensors], seed)
    if not isinstance(flat, Leaf):
        return 0
    # The kind contains scale and zero point of quantised values.
    hasher = xxh3_64(flat.kind.encode(), seed=seed)
    for chunk in flat.read_chunks():
        hasher.update(chunk)
    return hasher.intdigest() or 1


def _combine_digests(digests: list[int], seed: int) -> int:
    return xxh3_64_intdigest(b"".join(digest.to_bytes(8, "little") for digest in digests), seed) or 1


def fetch_digests(digests: list[DeviceDigest]) -> list[int]:
    """Transfers digests of one device at once."""
    with hide_from_modes():
        lanes = torch.stack([digest.scalar for digest in digests]).cpu().tolist()
    return [_combine_digests([lane % 2**64], digest.seed) for lane, digest in zip(lanes, digests)]


class PendingDigests:
    """Digests on devices, for which the columns hold 0 until many are fetched at once."""

    __slots__ = ("_columns", "_pending")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        # Whether it is an output, the index of its op, its index among the op's outputs or inputs.
        self._pending: list[tuple[bool, int, int, DeviceDigest]] = []

    def add_op(self, index: int, outputs: Sequence[Digest], inputs: Sequence[Digest]) -> None:
        """Adds the digests of the op at *index* that are on a device."""
        for is_output, digests in ((True, outputs), (False, inputs)):
            for i, digest in enumerate(digests):
                if isinstance(digest, DeviceDigest):
                    self._pending.append((is_output, index, i, digest))
        if len(self._pending) > _MAX_PENDING:
            self.fetch()

    def fetch(self) -> None:
        """Fetches all digests. Those of a device that fails stay 0."""
        pending, self._pending = self._pending, []
        c = self._columns
        if pending:
            c.flush()
        for _, group in groupby(pending, lambda entry: entry[3].scalar.device):
            entries = list(group)
            with suppress(Exception):
                digests = fetch_digests([entry[3] for entry in entries])
                for (is_output, index, i, _), digest in zip(entries, digests):
                    column, end = (c.output, c.output_end) if is_output else (c.input, c.input_end)
                    column[(end[index - 1] if index else 0) + i] = digest
