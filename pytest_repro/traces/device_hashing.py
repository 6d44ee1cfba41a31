"""Digests of tensors on their own device: 8 bytes are transferred, not the tensor."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

_SHIFT_MASKS = {shift: (1 << (64 - shift)) - 1 for shift in (27, 30, 31)}
_BLOCK_LANES = 2**22
# Lanes of 8 bytes at a time: temporaries take about four times the memory of a block.

_KERNEL_SOURCE = """
template <typename T> T mixed(T lane, T position) {
    typedef unsigned long long u64;
    auto mix = [](u64 x) {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
        return x ^ (x >> 31);
    };
    return (T)mix((u64)lane ^ mix((u64)position * 0x9E3779B97F4A7C15ULL));
}
"""
# As _mix_with_position, in unsigned integers, for which C++ defines overflow. Launching the 24 kernels
# of the single ops took nine tenths of the time of a training step (measured on an H200).


def _to_signed(number: int) -> int:
    """The int64 with the bits of the uint64 *number*."""
    return number - (1 << 64) if number >= 1 << 63 else number


_GOLDEN_GAMMA, _MULTIPLIER_1, _MULTIPLIER_2 = map(
    _to_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
# The constants of splitmix64 (https://doi.org/10.1145/2660193.2660195): 2**64 divided by the golden
# ratio, and two multipliers of a mixing function found by David Stafford.


def digest_on_device(t: Any) -> Any:
    """Digest of the logical bytes of *t*, which does not depend on the order of summation.

    The bytes are read as 64-bit lanes. Each lane is mixed with its position, so that neither
    exchanged nor equal lanes cancel. Integers that wrap around have the same sum in any order.

    Args:
        t: Any dense tensor.

    Returns:
        An int64 tensor of shape (), on the device of *t*.
    """
    lanes = _to_lanes(t)
    block_digests = [
        _digest_block(lanes[start : start + _BLOCK_LANES], start + 1)
        for start in range(0, len(lanes), _BLOCK_LANES)
    ]
    if len(block_digests) == 1:
        return block_digests[0]
    if not block_digests:
        return torch.zeros((), dtype=torch.int64, device=lanes.device)
    return torch.stack(block_digests).sum()


def _digest_block(block: Any, first_position: int) -> Any:
    positions = torch.arange(first_position, first_position + len(block), device=block.device)
    mix_lanes = compile_lane_mixer(block.device) or _mix_with_position
    return mix_lanes(block, positions).sum()


@lru_cache
def compile_lane_mixer(device: torch.device) -> Callable[[Any, Any], Any] | None:
    """A CUDA kernel of lanes and positions, both int64 of shape (n,); None if it cannot be compiled."""
    if device.type != "cuda" or torch.version.cuda is None:
        return None
    try:  # a private name, which compiles with the NVRTC of torch and caches the result
        kernel: Callable[[Any, Any], Any] = torch.cuda.jiterator._create_jit_fn(_KERNEL_SOURCE)
        kernel(*torch.ones(2, 1, dtype=torch.int64, device=device))
    except Exception:  # the name or the compiler may be missing
        return None
    return kernel


def _mix_with_position(lane: Any, position: Any) -> Any:
    # The position is mixed first: with a plain sum, a lane that is larger by the constant would
    # equal its neighbour.
    return _mix(lane ^ _mix(position * _GOLDEN_GAMMA))


def _to_lanes(t: Any) -> Any:
    """The bytes of *t* in C order as int64, padded with zeros."""
    flat = t.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    size = flat.numel() * flat.element_size()
    raw = flat.view(torch.uint8) if size else flat.new_empty(0, dtype=torch.uint8)
    # A view as int64 needs an aligned start and a multiple of 8 bytes.
    if size % 8 or raw.storage_offset() % 8:
        padded = torch.zeros(-(-size // 8) * 8, dtype=torch.uint8, device=raw.device)
        padded[:size] = raw
        raw = padded
    return raw.view(torch.int64)


def _mix(x: Any) -> Any:
    x = (x ^ _shift_right_unsigned(x, 30)) * _MULTIPLIER_1
    x = (x ^ _shift_right_unsigned(x, 27)) * _MULTIPLIER_2
    return x ^ _shift_right_unsigned(x, 31)


def _shift_right_unsigned(x: Any, bits: int) -> Any:
    return (x >> bits) & _SHIFT_MASKS[bits]
