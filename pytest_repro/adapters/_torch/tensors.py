"""Reads tensors of every dtype and layout, without copying all of them."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import torch

from pytest_repro.adapters import Adapter, FastReader
from pytest_repro.adapters._numpy_arrays import ROW_BLOCK_BYTES, TILED_BLOCK_BYTES, is_transposed, iter_blocks
from pytest_repro.core.blocks import iter_block_indices
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult

_INLINE_BYTES = 512
_DENSE_BLOCK_BYTES = 2**20  # of a sparse tensor, made dense at a time
_WHOLE_COPY_BYTES = 2**24  # up to 16 MiB, torch's multithreaded copy is faster than blocks
_MAX_DENSE_BYTES = 2**32  # larger sparse tensors are read as indices and values
# Several elements per byte, or unknown:
_OPAQUE_DTYPES = re.compile(r"bits(8|1x8|2x4|4x2)|u?int[1-7]|float4_\w+")
_NO_MEMORY = "has no memory: it is a fake tensor, or its storage was freed"
_QUANTISED = {"quint8": "uint8", "qint8": "int8", "qint32": "int32", "quint4x2": "uint8", "quint2x4": "uint8"}


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


_PLAIN_DTYPES = {
    dtype: _dtype_name(dtype)
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and _dtype_name(dtype) not in _QUANTISED
}
_BIT_DTYPES = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}
# Without complex dtypes, for which is_conj() would take 0.1 µs.
_REAL_DTYPES = {dtype for dtype in _PLAIN_DTYPES if not dtype.is_complex}
_INT_DTYPES = {2: torch.int16, 4: torch.int32, 8: torch.int64}
# Reading bytes with .raw of a ctypes array takes 0.4 µs, with ctypes.string_at 0.7.
_MEMORY_READERS = {size: (ctypes.c_char * size).from_address for size in range(1, _INLINE_BYTES + 1)}


def read_small_tensor(t: Any) -> tuple[object, bytes] | None:
    """Dtype and shape, and the bytes, of a small dense CPU tensor of real numbers.

    Half the time of ``detach().clone()`` or of ``detach().numpy().tobytes()``, which supports
    neither bfloat16 nor fp8.
    """
    dtype = t.dtype
    if dtype not in _REAL_DTYPES or not t.is_cpu:
        return None
    try:  # sparse, nested and vmapped tensors raise: checking each takes 0.1 µs
        read = _MEMORY_READERS.get(t.nbytes)
        if read is None or not t.is_contiguous() or t.is_neg():
            return None
        address = t.data_ptr()
        return ((dtype, t.shape), read(address).raw) if address else None
    except RuntimeError:
        return None


def _format_kind(name: str, shape: Iterable[int]) -> str:
    return f"{name}{list(shape)}"


def _element_dtype(dtype: torch.dtype) -> str:
    name = _dtype_name(dtype)
    if _OPAQUE_DTYPES.fullmatch(name):
        return "uint8"
    return "uint16" if name == "bits16" else _QUANTISED.get(name, name)


def flatten_tensor(tensor: Any) -> FlattenResult:
    """*tensor* as a leaf; as parts if it needs several; or why it cannot be read."""
    if tensor.is_meta:
        return "is a meta tensor: it has a shape, but no values"
    if type(tensor).__name__ == "FakeTensor":  # data_ptr() warns
        return _NO_MEMORY
    if type(tensor).__name__ in ("UninitializedParameter", "UninitializedBuffer"):
        return "is a lazy parameter without a shape: run the module once first"
    t = tensor.detach()
    metadata = f"{t.layout}, {t.device}" + (", requires grad" if tensor.requires_grad else "")
    if t.is_nested:
        return Parts("nested", ((f"[{i}]", part) for i, part in enumerate(t.unbind())))
    if t.layout is not torch.strided:
        return _flatten_sparse(t, metadata)
    if t.is_quantized:
        return _flatten_quantised(t, metadata)
    if t._is_zerotensor():  # a zero gradient of forward AD, which has no memory
        t = t.clone()
    if t.is_cpu and t.nbytes and not t.data_ptr():
        return _NO_MEMORY
    return _make_leaf(t, _format_kind(_dtype_name(t.dtype), t.shape), metadata)


def _make_leaf(t: torch.Tensor, kind: str, metadata: str) -> Leaf:
    shape = tuple(t.shape)
    return Leaf(kind, _element_dtype(t.dtype), shape, t.nbytes, lambda: _iter_buffers(t), True, metadata)


def _iter_buffers(t: torch.Tensor) -> Iterator[memoryview]:
    if not t.is_cpu or t.is_conj() or t.is_neg():
        for index in iter_block_indices(tuple(t.shape), max(1, TILED_BLOCK_BYTES // t.itemsize)):
            yield _view_memory(_view_as_bits(t[index].resolve_conj().resolve_neg()).contiguous().cpu())
    elif t.is_contiguous():
        yield _view_memory(t)
    else:
        bits = _view_as_bits(t)
        array = bits.numpy()
        if t.nbytes <= (_WHOLE_COPY_BYTES if is_transposed(array) else ROW_BLOCK_BYTES):
            yield _view_memory(bits.contiguous())
        else:
            yield from (block.reshape(-1).view("u1").data for block in iter_blocks(array, array.dtype))


def _view_as_bits(t: torch.Tensor) -> torch.Tensor:
    """*t* as a dtype that every device can copy and numpy has."""
    return t.view(_BIT_DTYPES[t.itemsize])


def _view_memory(t: torch.Tensor) -> memoryview:
    """The memory of a contiguous CPU tensor; the view keeps the tensor alive."""
    size = t.nbytes
    if not size:
        return memoryview(b"")
    memory: Any = (ctypes.c_ubyte * size).from_address(t.data_ptr())
    memory.owner = t
    return memoryview(memory).cast("B")


def _flatten_quantised(t: torch.Tensor, metadata: str) -> FlattenResult:
    """Integers with scale and zero point."""
    if t.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        kind = f"{_format_kind(_dtype_name(t.dtype), t.shape)} scale={t.q_scale()!r} zero={t.q_zero_point()}"
        return _make_leaf(t.int_repr(), kind, metadata)
    items = (
        (".int_repr", t.int_repr()),
        (".scales", t.q_per_channel_scales()),
        (".zero_points", t.q_per_channel_zero_points()),
        (".axis", t.q_per_channel_axis()),
    )
    return Parts("quantised", items)


def _flatten_sparse(t: Any, metadata: str) -> FlattenResult:
    """The same leaf as of the dense tensor: layout is not part of the value."""
    if t.layout is torch._mkldnn:  # type: ignore[attr-defined]
        return flatten_tensor(t.to_dense())
    try:
        coo = (t.cpu() if t.layout is torch.sparse_coo else t.cpu().to_sparse_coo()).coalesce()
    except NotImplementedError:  # torch cannot coalesce float8 and uint16
        return flatten_tensor(_densify_by_bits(t.cpu()))
    shape, size = tuple(t.shape), math.prod(t.shape) * t.itemsize
    if size > _MAX_DENSE_BYTES:
        return Parts("sparse", ((".indices", coo.indices()), (".values", coo.values()), (".shape", shape)))
    kind = _format_kind(_dtype_name(t.dtype), shape)
    return Leaf(kind, _element_dtype(t.dtype), shape, size, lambda: _iter_dense_buffers(coo), True, metadata)


def _densify_by_bits(t: Any) -> torch.Tensor:
    if t.layout is torch.sparse_coo:
        return t.to_dense()  # type: ignore[no-any-return]
    by_column = t.layout in (torch.sparse_csc, torch.sparse_bsc)
    indices = (t.ccol_indices(), t.row_indices()) if by_column else (t.crow_indices(), t.col_indices())
    bits = t.values().view(_BIT_DTYPES[t.itemsize])
    return torch.sparse_compressed_tensor(*indices, bits, t.shape, layout=t.layout).to_dense().view(t.dtype)


def _iter_dense_buffers(coo: torch.Tensor) -> Iterator[memoryview]:
    """A coalesced COO tensor, densified in blocks of bytes: some dtypes have no ops for it."""
    indices, values = coo.indices(), coo.values().resolve_conj().resolve_neg()
    sparse_shape = coo.shape[: len(indices)]
    row_bytes = math.prod(coo.shape[len(indices) :]) * coo.itemsize
    flat_indices = torch.zeros(indices.shape[1], dtype=torch.int64, device="cpu")
    for index, length in zip(indices, sparse_shape):
        flat_indices = flat_indices * length + index
    rows = values.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
    rows = rows.reshape(len(flat_indices), row_bytes)
    step = max(1, _DENSE_BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, math.prod(sparse_shape), step):
        stop = min(start + step, math.prod(sparse_shape))
        low, high = torch.searchsorted(flat_indices, torch.tensor([start, stop], device="cpu")).tolist()
        block = torch.zeros((stop - start, row_bytes), dtype=torch.uint8, device="cpu")
        block[flat_indices[low:high] - start] = rows[low:high]
        yield _view_memory(block)


def flatten_with_attributes(tensor: Any) -> Parts:
    """A tensor of a class that adds attributes, such as the format of bounding boxes; not itself."""
    names = sorted(vars(tensor).keys() - {"_is_param"})  # torch's own mark of a parameter
    values = ((name, getattr(tensor, name)) for name in names)
    attributes = ((f".{name}", value) for name, value in values if value is not tensor)
    return Parts(type(tensor).__qualname__, chain([("", tensor.as_subclass(torch.Tensor))], attributes))


class TorchTensors(Adapter):
    """What the adapter of torch does with tensors."""

    fast_readers: ClassVar[Mapping[type, FastReader]] = {
        torch.Tensor: read_small_tensor,
        torch.nn.Parameter: read_small_tensor,
    }

    def describe(self, kind_key: Any) -> tuple[str, str, tuple[int, ...]]:
        dtype, shape = kind_key
        return _format_kind(_PLAIN_DTYPES[dtype], shape), _element_dtype(dtype), tuple(shape)

    def is_array(self, value: object) -> bool:
        return issubclass(type(value), torch.Tensor)

    def copy_array(self, array: Any) -> Any:
        return array.detach().clone().requires_grad_(array.requires_grad)

    def copy_at_offset(self, array: Any, offset: int) -> Any:
        buffer = torch.empty(array.numel() + offset, dtype=array.dtype, device=array.device)
        placed = buffer[offset:].view(array.shape)
        with torch.no_grad():
            placed.copy_(array)
        return placed.requires_grad_(array.requires_grad)

    def restore_array(self, array: Any, saved: Any) -> None:
        array.detach().copy_(saved)

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        return torch.cat(list(arrays))

    def view_as_integers(self, array: Any) -> Any:
        dtype = _INT_DTYPES.get(array.itemsize) if array.is_floating_point() else None
        return None if dtype is None else array.detach().view(dtype)
