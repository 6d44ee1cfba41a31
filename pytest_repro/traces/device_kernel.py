"""The mixing of lanes with their places as one CUDA kernel, where torch compiles one.

In single operations it takes 24 kernels, and starting each takes longer than a small tensor's bytes:
of a training step's time nine tenths went there (measured on an H200).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

_KERNEL_SOURCE = """
template <typename T> T mixed(T lane, T place) {
    typedef unsigned long long u64;
    auto mix = [](u64 x) {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
        return x ^ (x >> 31);
    };
    return (T)mix((u64)lane ^ mix((u64)place * 0x9E3779B97F4A7C15ULL));
}
"""
# The same as in device.py, with integers that wrap around as unsigned ones do in C++.


@lru_cache
def compile_lane_mixer(device: torch.device) -> Callable[[Any, Any], Any] | None:
    """A function of lanes and places, both int64 of shape (n,); None where there is no such kernel."""
    if device.type != "cuda" or torch.version.cuda is None:
        return None
    try:  # a private name that compiles with NVRTC, which comes with torch, and keeps what it compiled
        made: Callable[[Any, Any], Any] = torch.cuda.jiterator._create_jit_fn(_KERNEL_SOURCE)
        made(*torch.ones(2, 1, dtype=torch.int64, device=device))
    except Exception:  # it may be gone, or find no compiler: then the operations serve one by one
        return None
    return made
