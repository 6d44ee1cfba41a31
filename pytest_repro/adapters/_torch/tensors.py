"""Reads tensors: every dtype, every layout, without a whole copy."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from pytest_repro.adapters._numpy.blocks import ROW_BLOCK_BYTES, TILED_BLOCK_BYTES, is_transposed, iter_blocks
from pytest_repro.core.blocks import iter_block_indices
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult

INLINE_BYTES = 512
_DENSE_BLOCK_BYTES = 2**20  # bytes made dense at a time from a sparse tensor
_WHOLE_COPY_BYTES = 2**24  # up to 16 MiB torch's whole copy, by all its threads, is the faster one
_MAX_DENSE_BYTES = 2**32  # a sparse tensor of more bytes than this is read as indices and values
_OPAQUE_DTYPES = re.compile(r"bits(8|1x8|2x4|4x2)|u?int[1-7]|float4_\w+")  # several in a byte, or unknown
_NO_MEMORY = "has no memory: it is a fake tensor, or its storage was freed"
_QUANTISED = {"quint8": "uint8", "qint8": "int8", "qint32": "int32", "quint4x2": "uint8", "quint2x4": "uint8"}


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _iter_dtypes() -> Iterator[torch.dtype]:
    for each in vars(torch).values():
        if isinstance(each, torch.dtype):
            yield each


_PLAIN_DTYPES = {
    dtype: _dtype_name(dtype) for dtype in _iter_dtypes() if _dtype_name(dtype) not in _QUANTISED
}
_BIT_DTYPES = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}
# Without the complex dtypes, which would have to be asked whether they are conjugated: 0.1 µs.
_REAL_DTYPES = {dtype for dtype in _PLAIN_DTYPES if not dtype.is_complex}
# Making bytes with an array's .raw takes 0.4 µs, with ctypes.string_at 0.7.
_MEMORY_READERS = {size: (ctypes.c_char * size).from_address for size in range(1, INLINE_BYTES + 1)}


def read_small_tensor(t: Any) -> tuple[object, bytes] | None:
    """A small dense CPU tensor: its bytes are copied straight from memory.

    0.5 of the time of ``detach().clone()``, where ``detach().numpy().tobytes()`` takes as long and
    knows neither bfloat16 nor fp8.
    """
    dtype = t.dtype
    if dtype not in _REAL_DTYPES or not t.is_cpu:
        return None
    try:  # sparse, nested and vmapped tensors raise: asking each whether it is one takes 0.1 µs
        read = _MEMORY_READERS.get(t.nbytes)
        if read is None or not t.is_contiguous() or t.is_neg():
            return None
        place = t.data_ptr()
        return ((dtype, t.shape), read(place).raw) if place else None
    except RuntimeError:
        return None


def describe(kind_key: Any) -> tuple[str, str, tuple[int, ...]]:
    """Kind, element and shape of what :func:`read_small_tensor` read."""
    dtype, shape = kind_key
    return _format_kind(_PLAIN_DTYPES[dtype], shape), _element_dtype(dtype), tuple(shape)


def _format_kind(name: str, shape: Iterable[int]) -> str:
    return f"{name}{list(shape)}"


def _element_dtype(dtype: torch.dtype) -> str:
    name = _dtype_name(dtype)
    return (
        "uint8"
        if _OPAQUE_DTYPES.fullmatch(name)
        else "uint16"
        if name == "bits16"
        else _QUANTISED.get(name, name)
    )


def flatten_tensor(tensor: Any) -> FlattenResult:
    """*tensor* as a leaf; as parts where its values need several tensors to tell them."""
    if tensor.is_meta:
        return "is a meta tensor: it has a shape, but no values"
    if type(tensor).__name__ == "FakeTensor":  # asking for its memory warns
        return _NO_MEMORY
    if type(tensor).__name__ in ("UninitializedParameter", "UninitializedBuffer"):
        return "is a lazy parameter that has no shape yet: run the module once before"
    t = tensor.detach()
    facts = f"{t.layout}, {t.device}" + (", requires grad" if tensor.requires_grad else "")
    if t.is_nested:
        return Parts("nested", ((f"[{i}]", each) for i, each in enumerate(t.unbind())))
    if t.layout is not torch.strided:
        return _flatten_sparse(t, facts)
    if t.is_quantized:
        return _flatten_quantised(t, facts)
    if t._is_zerotensor():  # what forward AD uses for a zero gradient: it has no memory
        t = t.clone()
    if t.is_cpu and t.nbytes and not t.data_ptr():
        return _NO_MEMORY
    return _make_leaf(t, _format_kind(_dtype_name(t.dtype), t.shape), facts)


def _make_leaf(t: torch.Tensor, kind: str, facts: str) -> Leaf:
    shape = tuple(t.shape)
    return Leaf(kind, _element_dtype(t.dtype), shape, t.nbytes, lambda: _iter_buffers(t), True, facts)


def _iter_buffers(t: torch.Tensor) -> Iterator[memoryview]:
    if not t.is_cpu or t.is_conj() or t.is_neg():
        for cut in iter_block_indices(tuple(t.shape), max(1, TILED_BLOCK_BYTES // t.itemsize)):
            yield _view_memory(_view_as_bits(t[cut].resolve_conj().resolve_neg()).contiguous().cpu())
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
    """*t* read as numbers that can be copied on every device, and go to numpy: not every dtype can."""
    return t.view(_BIT_DTYPES[t.itemsize])


def _view_memory(t: torch.Tensor) -> memoryview:
    """The memory of a contiguous CPU tensor as bytes, which keep the tensor alive."""
    size = t.nbytes
    if not size:
        return memoryview(b"")
    memory: Any = (ctypes.c_ubyte * size).from_address(t.data_ptr())
    memory.owner = t
    return memoryview(memory).cast("B")


def _flatten_quantised(t: torch.Tensor, facts: str) -> FlattenResult:
    """Quantised values are their integers together with scale and zero point."""
    per_tensor = t.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric)
    if per_tensor:
        kind = f"{_format_kind(_dtype_name(t.dtype), t.shape)} scale={t.q_scale()!r} zero={t.q_zero_point()}"
        return _make_leaf(t.int_repr(), kind, facts)
    items = (
        (".int_repr", t.int_repr()),
        (".scales", t.q_per_channel_scales()),
        (".zero_points", t.q_per_channel_zero_points()),
        (".axis", t.q_per_channel_axis()),
    )
    return Parts("quantised", items)


def _flatten_sparse(t: Any, facts: str) -> FlattenResult:
    """A sparse tensor reads like the dense one of the same values: layout is no part of a value."""
    if t.layout is torch._mkldnn:  # type: ignore[attr-defined]
        return flatten_tensor(t.to_dense())
    try:
        coo = (t.cpu() if t.layout is torch.sparse_coo else t.cpu().to_sparse_coo()).coalesce()
    except NotImplementedError:  # float8 and uint16 cannot be sorted by index
        return flatten_tensor(_densify_by_bits(t.cpu()))
    shape, size = tuple(t.shape), math.prod(t.shape) * t.itemsize
    if size > _MAX_DENSE_BYTES:
        items = ((".indices", coo.indices()), (".values", coo.values()), (".shape", shape))
        return Parts("sparse", items)
    kind = _format_kind(_dtype_name(t.dtype), shape)
    return Leaf(kind, _element_dtype(t.dtype), shape, size, lambda: _iter_dense_buffers(coo), True, facts)


def _densify_by_bits(t: Any) -> torch.Tensor:
    if t.layout is torch.sparse_coo:
        return t.to_dense()  # type: ignore[no-any-return]
    by_column = t.layout in (torch.sparse_csc, torch.sparse_bsc)
    indices = (t.ccol_indices(), t.row_indices()) if by_column else (t.crow_indices(), t.col_indices())
    bits = t.values().view(_BIT_DTYPES[t.itemsize])
    return torch.sparse_compressed_tensor(*indices, bits, t.shape, layout=t.layout).to_dense().view(t.dtype)


def _iter_dense_buffers(coo: torch.Tensor) -> Iterator[memoryview]:
    """A coalesced COO tensor made dense a block at a time, as bytes: not every dtype has the ops."""
    indices, values = coo.indices(), coo.values().resolve_conj().resolve_neg()
    sparse = coo.shape[: len(indices)]
    width = math.prod(coo.shape[len(indices) :]) * coo.itemsize
    place = torch.zeros(indices.shape[1], dtype=torch.int64, device="cpu")
    for row, length in zip(indices, sparse):
        place = place * length + row
    filled = values.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
    filled = filled.reshape(len(place), width)
    step = max(1, _DENSE_BLOCK_BYTES // max(1, width))
    for start in range(0, math.prod(sparse), step):
        stop = min(start + step, math.prod(sparse))
        low, high = torch.searchsorted(place, torch.tensor([start, stop], device="cpu")).tolist()
        block = torch.zeros((stop - start, width), dtype=torch.uint8, device="cpu")
        block[place[low:high] - start] = filled[low:high]
        yield _view_memory(block)
