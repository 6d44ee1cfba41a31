"""What digesting and recording cost, beside a plain read and other libraries.

python benchmarks/bench_digest.py [--quick]

The calls of a line take turns, A B A B; times are medians.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from _timing import QUICK, Call, format_seconds, median_ratio, median_seconds, run_python

from pytest_repro import digest
from pytest_repro.adapters import seed_all
from pytest_repro.core.plan.plan import exact_tolerance
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.values import hashing
from pytest_repro.values.spill_store import SpillStore

MB = 2**20
SIZES = (4 * 2**10, 64 * 2**10, MB, 8 * MB, 16 * MB, 32 * MB, 64 * MB, 256 * MB, 1024 * MB)


def measure_throughput(size: int, repeats: int) -> None:
    """Contiguous arrays: share of the speed of a plain read with one thread."""
    array: Any = np.random.default_rng(0).integers(0, 2**63, size // 8, dtype="u8")
    buffer = memoryview(array).cast("B")
    calls: dict[str, Call] = {
        "read": array.sum,
        "one thread": lambda: hashing.digest("", [buffer], 1),
        "two threads": lambda: hashing.digest("", [buffer], 2),
        "digest()": lambda: digest(array),
    }
    if size <= 256 * MB:
        tensor = torch.from_numpy(array.view("f4"))
        calls["torch.hash_tensor"] = lambda: torch.hash_tensor(tensor)
        calls["sha256"] = lambda: hashlib.sha256(buffer).digest()
        calls |= _joblib_calls(array)
    times = median_seconds(calls, repeats)
    read = times.pop("read")
    shares = "  ".join(f"{name} {read / seconds:.2f}" for name, seconds in times.items())
    print(f"{size / MB:8.3f} MB  read {format_seconds(read):>8}  {shares}")


def _joblib_calls(array: Any) -> dict[str, Call]:
    try:
        import joblib
    except ImportError:
        return {}
    return {"joblib.hash": lambda: joblib.hash(array)}


def iter_views(size: int) -> Iterator[tuple[str, str]]:
    """Name and source of tensors of about *size* bytes that are not contiguous."""
    side = int((size // 4) ** 0.5) // 64 * 64
    batch = size // 4 // (64 * 32 * 32)
    yield "transposed", f"torch.rand({side}, {side}).T"
    yield "transposed bf16", f"torch.rand({side}, {2 * side}).bfloat16().T"
    yield "sliced ::2", f"torch.rand({side}, {2 * side})[:, ::2]"
    yield "sliced columns", f"torch.rand({side}, {side + 64})[:, :{side}]"
    yield "expanded rows", f"torch.rand(1, {side}).expand({side}, {side})"
    yield "expanded columns", f"torch.rand({side}, 1).expand({side}, {side})"
    yield "channels last", f"torch.rand({batch}, 64, 32, 32).to(memory_format=torch.channels_last)"


def measure_memory(view: str) -> list[str]:
    """Extra MB of a digest of the tensor *view*, and of its copy, in a fresh interpreter."""
    code = f"""if True:
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        import torch
        from _timing import measure_extra_memory
        from pytest_repro import digest
        digest(torch.rand(3, 400).T), digest(torch.rand(800, 800).T)
        t = {view}
        for call in (lambda: digest(t), lambda: digest(t.contiguous())):
            print(round(measure_extra_memory(call) / 2**20))
    """
    return run_python(code).split()


def _digest_copy(t: torch.Tensor) -> str:
    return digest(t.contiguous())


def measure_views(size: int, repeats: int) -> None:
    """Views that are not contiguous: time and extra memory beside a digest of ``.contiguous()``."""
    views = list(iter_views(size))
    for name, view in views[:1] if QUICK else views:
        t = eval(view, {"torch": torch})
        calls = {"view": partial(digest, t), "copy": partial(_digest_copy, t)}
        times = median_seconds(calls, repeats)
        extra = measure_memory(view)
        print(
            f"{size // MB:5} MB {name:16}  {format_seconds(times['view']):>8}, "
            f"{times['view'] / times['copy']:.2f} of the copy's time; "
            f"{extra[0]} MB extra, the copy {extra[1]}"
        )


def _clone(t: torch.Tensor) -> torch.Tensor:
    return t.detach().clone()


def measure_recording() -> None:
    """Recording a small tensor beside ``detach().clone()``."""
    tensors = {"0-d": torch.rand(()), "[8]": torch.rand(8), "[4, 8] grad": torch.rand(4, 8).requires_grad_()}
    for name, t in tensors.items():
        recording = Recording(SpillStore(0), exact_tolerance)
        share = median_ratio(partial(recording.record, "x", t), partial(_clone, t), 25, 0.003)
        print(f"record {name:12} {share:.2f} of detach().clone()")


def seed_plainly() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def call_deep(call: Call, depth: int = 40) -> Any:
    """Calls *call* with about as many frames above it as under pytest."""
    return call_deep(call, depth - 1) if depth else call()


def measure_seeding() -> None:
    share = median_ratio(lambda: call_deep(lambda: seed_all(0)), lambda: call_deep(seed_plainly), 15)
    print(f"seed_all {share:.3f} of random.seed, np.random.seed and torch.manual_seed, 40 frames deep")


def main() -> None:
    print("share of the speed of a plain read (numpy sum of uint64)")
    for size in SIZES[:1] if QUICK else SIZES:
        measure_throughput(size, 5 if size > 256 * MB else 11)
    for size in (MB,) if QUICK else (MB, 16 * MB, 256 * MB):
        measure_views(size, 5)
    measure_recording()
    measure_seeding()


if __name__ == "__main__":
    main()
