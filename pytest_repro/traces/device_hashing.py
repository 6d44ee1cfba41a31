"""Digest of a tensor on its own device: 8 bytes cross the bus, not the tensor."""

from __future__ import annotations

from typing import Any

import torch

from pytest_repro.traces.device_kernel import compile_lane_mixer

_SHIFT_MASKS = {shift: (1 << (64 - shift)) - 1 for shift in (27, 30, 31)}
_BLOCK_LANES = 2**22
# Lanes of 8 bytes at a time: the work takes about four times the memory of a block.


def _to_signed(number: int) -> int:
    """*number* of 64 bits as torch's signed integers hold it."""
    return number - (1 << 64) if number >= 1 << 63 else number


_GOLDEN_GAMMA, _MULTIPLIER_1, _MULTIPLIER_2 = map(
    _to_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
# The constants of splitmix64 (https://doi.org/10.1145/2660193.2660195): 2**64 divided by the golden
# ratio, and two multipliers of a mixing function found by David Stafford.


def digest_on_device(t: Any) -> Any:
    """Digest of the logical bytes of *t*, which does not depend on the order of summation.

    The bytes are read as 64-bit lanes. Each lane is mixed with its position, so that neither
    exchanged lanes nor equal ones cancel; the sum of integers that wrap around is the same in
    whatever order a device adds.

    Args:
        t: Any dense tensor, any device, shape, strides and dtype.

    Returns:
        An int64 tensor of shape (), on the device of *t*.
    """
    lanes = _to_lanes(t)
    parts = [
        _digest_block(lanes[start : start + _BLOCK_LANES], start + 1)
        for start in range(0, len(lanes), _BLOCK_LANES)
    ]
    if len(parts) == 1:
        return parts[0]
    return torch.stack(parts).sum() if parts else torch.zeros((), dtype=torch.int64, device=lanes.device)


def _digest_block(block: Any, first_position: int) -> Any:
    """What the lanes of *block* add, of which the first stands at place *first_position*."""
    place = torch.arange(first_position, first_position + len(block), device=block.device)
    one = compile_lane_mixer(block.device)
    return (_mix_with_position(block, place) if one is None else one(block, place)).sum()


def _mix_with_position(lane: Any, position: Any) -> Any:
    # The position is mixed before it meets the lane: a sum of both would let a neighbour that is
    # larger by the constant stand for its neighbour.
    return _mix(lane ^ _mix(position * _GOLDEN_GAMMA))


def _to_lanes(t: Any) -> Any:
    """The bytes of *t* in C order as int64, filled up with zeros."""
    flat = t.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    size = flat.numel() * flat.element_size()
    raw = flat.view(torch.uint8) if size else flat.new_empty(0, dtype=torch.uint8)
    # A view of other bytes needs its start aligned as well: then a copy serves.
    if size % 8 or raw.storage_offset() % 8:
        filled = torch.zeros(-(-size // 8) * 8, dtype=torch.uint8, device=raw.device)
        filled[:size] = raw
        raw = filled
    return raw.view(torch.int64)


def _mix(x: Any) -> Any:
    x = (x ^ _shift_right_unsigned(x, 30)) * _MULTIPLIER_1
    x = (x ^ _shift_right_unsigned(x, 27)) * _MULTIPLIER_2
    return x ^ _shift_right_unsigned(x, 31)


def _shift_right_unsigned(x: Any, bits: int) -> Any:
    """*x* shifted right as if it were unsigned."""
    return (x >> bits) & _SHIFT_MASKS[bits]
