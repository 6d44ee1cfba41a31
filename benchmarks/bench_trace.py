"""What tracing costs, beside the same training step untraced, in a mode that does nothing, in DebugMode.

Every line is one run, A B A B, medians.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from _side_by_side import Call, apart, medians, shown
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_repro import first_divergence, trace
from pytest_repro.core.trace.columns import Columns
from pytest_repro.core.trace.trace import Trace

STEPS = 5
"""Training steps within one trace: the block around them is opened and closed once."""


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """Three layers of 256, batch 64."""
    layers = [nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers), torch.rand(64, 256)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    """Two convolutions with BatchNorm on 16 images of 3 × 32 × 32."""
    layers = [
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(32, 10),
    ]  # fmt: skip
    return nn.Sequential(*layers), torch.rand(16, 3, 32, 32)


def transformer() -> tuple[nn.Module, torch.Tensor]:
    """Two layers, d 128, 4 heads, 8 sequences of 64."""
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.rand(8, 64, 128)


def trained(made: tuple[nn.Module, torch.Tensor]) -> Call:
    """Some steps of training with SGD and momentum."""
    model, x = made
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def steps() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            model(x).square().mean().backward()
            optimiser.step()

    return steps


class Bare(TorchDispatchMode):
    """What any mode written in Python costs: it calls the op, and does nothing else."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Hashing:
    """DebugMode with a hash of every output, opened like a trace."""

    def __enter__(self) -> None:
        from torch.utils._debug_mode import DebugMode

        self._stack = [DebugMode(), DebugMode.log_tensor_hashes()]
        for each in self._stack:
            each.__enter__()

    def __exit__(self, *error: Any) -> None:
        for each in reversed(self._stack):
            each.__exit__(*error)


def under(call: Call, context: Callable[[], AbstractContextManager[Any]]) -> Call:
    """*call* within what *context* opens."""

    def within() -> None:
        with context():
            call()

    return within


def steps(name: str, made: Callable[[], tuple[nn.Module, torch.Tensor]], repeats: int) -> None:
    """One model: ratios to the plain steps, and the share of DebugMode's extra time."""
    torch.manual_seed(0)
    call = trained(made())
    found = medians(
        {
            "plain": call,
            "bare": under(call, Bare),
            "trace": under(call, trace),
            "thorough": under(call, lambda: trace(thorough=True)),
            "DebugMode": under(call, Hashing),
        },
        repeats,
    )
    with trace() as traced:
        call()
    plain = found.pop("plain")
    extra = (found["trace"] - plain) / (found["DebugMode"] - plain)
    ratios = "  ".join(f"{each} {seconds / plain:.2f}" for each, seconds in found.items())
    per_op = shown((found["trace"] - plain) / len(traced))
    print(f"{name:12} {shown(plain / STEPS):>8} a step, {len(traced) // STEPS} ops: {ratios}")
    print(f"{'':12} extra {per_op} an op, {extra:.2f} of DebugMode's")


def off() -> None:
    """What is left behind when a trace has ended: nothing."""
    call = trained(mlp())
    before = medians({"a": call}, 9)["a"]
    with trace():
        call()
    print(f"after a trace {medians({'a': call}, 9)['a'] / before:.2f} of the time before it")


FIRST = """if True:
    import sys, time, torch, pytest_repro.traces.dispatch_mode
    from pytest_repro import trace
    known = set(sys.modules)
    start = time.perf_counter()
    with trace():
        torch.ones(2).add(1)
    print((time.perf_counter() - start) * 1e3, len(set(sys.modules) - known))
"""


def first() -> None:
    """The first traced op of a process."""
    found = [apart(FIRST).split() for _ in range(5)]
    milliseconds = sorted(float(each[0]) for each in found)[2]
    print(f"first traced op {milliseconds:.1f} ms, {found[0][1]} modules imported by it")


MEMORY = f"""if True:
    import sys
    sys.path.insert(0, {sys.path[0]!r})
    import torch
    from _side_by_side import extra_memory
    from pytest_repro import trace
    from pytest_repro.core.trace.columns import Columns
    t = torch.ones(4, requires_grad=True)
    def loop():
        with trace() as found:
            for _ in range(250_000):
                t.mul(2).sum().backward()
        assert len(found) >= 10**6, len(found)
        return found
    with trace():
        t.mul(2).sum().backward()
    print(extra_memory(loop))
"""


def memory() -> None:
    """A million ops of a small training loop."""
    print(f"memory {int(apart(MEMORY)) / 1e6:.0f} bytes an op, of a million")


def compared() -> None:
    """Two equal traces of a million ops: comparing, saving and loading them."""
    traces = [Trace(columns()) for _ in range(2)]
    start = time.perf_counter()
    assert first_divergence(*traces) is None
    middle = time.perf_counter()
    data = traces[0].to_bytes()
    packed = time.perf_counter()
    Trace.from_bytes(data)
    print(
        f"a million ops: compared in {shown(middle - start)}, {len(data) / 1e6:.0f} MB packed in "
        f"{shown(packed - middle)}, read in {shown(time.perf_counter() - packed)}"
    )


def columns() -> Columns:
    found = Columns()
    name, place, kind = found.names.intern("op"), found.places.intern("f:1"), found.kinds.intern("k")
    for each in range(10**6):
        found.add((name, place, -1, [each + 1], [kind], [each + 1], 0, 0))
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    first()
    for model in (mlp, cnn, transformer):
        steps(model.__name__, model, 11)
    off()
    memory()
    compared()
