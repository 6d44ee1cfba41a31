"""Reads tensors: every dtype, every layout, without a whole copy."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from pytest_repro.core.observation import Leaf, Parts
from pytest_repro.core.pieces import cuts
from pytest_repro.core.walk import Opened

INLINE = 512
_BLOCK = 2**20  # bytes copied at a time from a tensor that is not contiguous
_DENSE = 2**32  # a sparse tensor of more bytes than this is read as indices and values
_NO_NUMBERS = {"float4_e2m1fn_x2", "bits8", "bits1x8", "bits2x4", "bits4x2", "bits16"}
_QUANTISED = {"quint8": "uint8", "qint8": "int8", "qint32": "int32", "quint4x2": "uint8", "quint2x4": "uint8"}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _all_dtypes() -> Iterator[torch.dtype]:
    for each in vars(torch).values():
        if isinstance(each, torch.dtype):
            yield each


_PLAIN = {dtype: _name(dtype) for dtype in _all_dtypes() if _name(dtype) not in _QUANTISED}
_strided, _string_at = torch.strided, ctypes.string_at


def quick(t: Any) -> tuple[object, bytes] | None:
    """A small dense CPU tensor: its bytes are copied straight from memory.

    0.6 µs, where ``detach().numpy().tobytes()`` takes 1.0 and knows neither bfloat16 nor fp8.
    """
    dtype = t.dtype
    if t.layout is not _strided or dtype not in _PLAIN or not t.is_cpu or t.is_nested:
        return None
    size = t.nbytes
    if size > INLINE or not t.is_contiguous() or t.is_neg() or t.is_conj():
        return None
    return (dtype, t.shape), _string_at(t.data_ptr(), size)


def described(token: Any) -> tuple[str, str, tuple[int, ...]]:
    """Kind, element and shape of what :func:`quick` read."""
    dtype, shape = token
    return _kind(_PLAIN[dtype], shape), _element(dtype), tuple(shape)


def _kind(name: str, shape: Iterable[int]) -> str:
    return f"{name}{list(shape)}"


def _element(dtype: torch.dtype) -> str:
    name = _name(dtype)
    return "uint8" if name in _NO_NUMBERS else _QUANTISED.get(name, name)


def opened_tensor(tensor: Any) -> Opened:
    """*tensor* as a leaf; as parts where its values need several tensors to tell them."""
    if tensor.is_meta:
        return "is a meta tensor: it has a shape, but no values"
    if type(tensor).__name__ in ("UninitializedParameter", "UninitializedBuffer"):
        return "is a lazy parameter that has no shape yet: run the module once before"
    t = tensor.detach()
    facts = f"{t.layout}, {t.device}" + (", requires grad" if tensor.requires_grad else "")
    if t.is_nested:
        return Parts("nested", ((f"[{i}]", each) for i, each in enumerate(t.unbind())))
    if t.layout is not torch.strided:
        return _opened_sparse(t, facts)
    if t.is_quantized:
        return _opened_quantised(t, facts)
    return _leaf(t, _kind(_name(t.dtype), t.shape), facts)


def _leaf(t: torch.Tensor, kind: str, facts: str) -> Leaf:
    shape = tuple(t.shape)
    return Leaf(kind, _element(t.dtype), shape, t.nbytes, lambda: _pieces(t), True, facts)


def _pieces(t: torch.Tensor) -> Iterator[memoryview]:
    if t.is_cpu and t.is_contiguous() and not t.is_conj() and not t.is_neg():
        yield _memory(t)
        return
    for cut in cuts(tuple(t.shape), max(1, _BLOCK // t.itemsize)):
        block = t[cut].cpu().resolve_conj().resolve_neg().contiguous()
        yield _memory(block)


def _memory(t: torch.Tensor) -> memoryview:
    """The memory of a contiguous CPU tensor as bytes; the tensor must outlive it."""
    size = t.nbytes
    if not size:
        return memoryview(b"")
    return memoryview((ctypes.c_ubyte * size).from_address(t.data_ptr())).cast("B")


def _opened_quantised(t: torch.Tensor, facts: str) -> Opened:
    """Quantised values are their integers together with scale and zero point."""
    per_tensor = t.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric)
    if per_tensor:
        kind = f"{_kind(_name(t.dtype), t.shape)} scale={t.q_scale()!r} zero={t.q_zero_point()}"
        return _leaf(t.int_repr(), kind, facts)
    items = (
        (".int_repr", t.int_repr()),
        (".scales", t.q_per_channel_scales()),
        (".zero_points", t.q_per_channel_zero_points()),
        (".axis", t.q_per_channel_axis()),
    )
    return Parts("quantised", items)


def _opened_sparse(t: Any, facts: str) -> Opened:
    """A sparse tensor reads like the dense one of the same values: layout is no part of a value."""
    if t.layout is torch._mkldnn:  # type: ignore[attr-defined]
        return opened_tensor(t.to_dense())
    coo = t.cpu() if t.layout is torch.sparse_coo else t.cpu().to_sparse_coo()
    coo = coo.coalesce()
    size = math.prod(t.shape) * t.itemsize
    if size > _DENSE:
        items = ((".indices", coo.indices()), (".values", coo.values()), (".shape", tuple(t.shape)))
        return Parts("sparse", items)
    kind = _kind(_name(t.dtype), t.shape)
    shape = tuple(t.shape)
    return Leaf(kind, _element(t.dtype), shape, size, lambda: _dense_pieces(coo), True, facts)


def _dense_pieces(coo: torch.Tensor) -> Iterator[memoryview]:
    """Rows of a coalesced COO tensor, made dense a block at a time."""
    rows, rest = coo.shape[0], tuple(coo.shape[1:])
    indices, values = coo.indices(), coo.values()
    step = max(1, _BLOCK // max(1, math.prod(rest) * coo.itemsize))
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        low, high = torch.searchsorted(indices[0].contiguous(), torch.tensor([start, stop])).tolist()
        inside = indices[:, low:high].clone()
        inside[0] -= start
        block = torch.zeros((stop - start, *rest), dtype=coo.dtype)
        block.index_put_(tuple(inside), values[low:high])
        yield _memory(block)
