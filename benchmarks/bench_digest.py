"""What digesting and recording cost, beside a plain read and beside what others do.

Every line is one run, A B A B, medians; a ratio above 1 means faster than the thing beside.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from _side_by_side import Call, apart, medians, ratio, shown

from pytest_repro import digest
from pytest_repro.adapters import seed_all
from pytest_repro.core.plan.tolerance import EXACT
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.values import hashing
from pytest_repro.values.spill_store import SpillStore

MB = 2**20
SIZES = (4 * 2**10, 64 * 2**10, MB, 8 * MB, 16 * MB, 32 * MB, 64 * MB, 256 * MB, 1024 * MB)


def throughput(size: int, repeats: int) -> None:
    """Contiguous: share of the speed of a plain read with one thread."""
    array = np.random.default_rng(0).integers(0, 2**63, size // 8, dtype="u8")
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
        calls |= _joblib(array)
    found = medians(calls, repeats)
    read = found.pop("read")
    shares = "  ".join(f"{name} {read / seconds:.2f}" for name, seconds in found.items())
    print(f"{size / MB:8.3f} MB  read {shown(read):>8}  {shares}")


def _joblib(array: Any) -> dict[str, Call]:
    try:
        import joblib
    except ImportError:
        return {}
    return {"joblib.hash": lambda: joblib.hash(array)}


def views(size: int) -> Iterator[tuple[str, str]]:
    """Tensors of *size* bytes that are not contiguous, as source text."""
    side = int((size // 4) ** 0.5) // 64 * 64
    batch = size // 4 // (64 * 32 * 32)
    yield "transposed", f"torch.rand({side}, {side}).T"
    yield "transposed bf16", f"torch.rand({side}, {2 * side}).bfloat16().T"
    yield "sliced ::2", f"torch.rand({side}, {2 * side})[:, ::2]"
    yield "sliced columns", f"torch.rand({side}, {side + 64})[:, :{side}]"
    yield "expanded rows", f"torch.rand(1, {side}).expand({side}, {side})"
    yield "expanded columns", f"torch.rand({side}, 1).expand({side}, {side})"
    yield "channels last", f"torch.rand({batch}, 64, 32, 32).to(memory_format=torch.channels_last)"


def memory_of(view: str, call: str) -> str:
    code = f"""if True:
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        import torch
        from _side_by_side import extra_memory
        from pytest_repro import digest
        digest(torch.rand(3, 400).T), digest(torch.rand(800, 800).T)
        t = {view}
        print(round(extra_memory(lambda: {call}) / 2**20))
    """
    return apart(code)


def strided(size: int, repeats: int) -> None:
    """Not contiguous: time and extra memory beside ``.contiguous()`` and a digest of that."""
    for name, view in views(size):
        t = eval(view, {"torch": torch})
        times = medians({"view": lambda t=t: digest(t), "copy": lambda t=t: digest(t.contiguous())}, repeats)
        extra = memory_of(view, "digest(t)"), memory_of(view, "digest(t.contiguous())")
        print(
            f"{size // MB:5} MB {name:16}  {shown(times['view']):>8}, {times['view'] / times['copy']:.2f} "
            f"of the copy's time; {extra[0]} MB extra, the copy {extra[1]}"
        )


def recording() -> None:
    """Recording a small tensor beside ``detach().clone()``."""
    tensors = {"0-d": torch.rand(()), "[8]": torch.rand(8), "[4, 8] grad": torch.rand(4, 8).requires_grad_()}
    for name, t in tensors.items():
        kept = Recording(SpillStore(0), EXACT)
        share = ratio(lambda t=t, r=kept: r.record("x", t), lambda t=t: t.detach().clone(), 25, 0.003)
        print(f"record {name:12} {share:.2f} of detach().clone()")


def plain_seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def deep(call: Call, depth: int = 40) -> Any:
    """*call*, with as many frames above it as under pytest."""
    return deep(call, depth - 1) if depth else call()


def seeding() -> None:
    found = ratio(lambda: deep(lambda: seed_all(0)), lambda: deep(plain_seeds), 15)
    print(f"seed_all {found:.3f} of random.seed, np.random.seed and torch.manual_seed, 40 frames deep")


if __name__ == "__main__":
    print("share of the speed of a plain read (numpy sum of uint64)")
    for size in SIZES:
        throughput(size, 5 if size > 256 * MB else 11)
    for size in (MB, 16 * MB, 256 * MB):
        strided(size, 5)
    recording()
    seeding()
