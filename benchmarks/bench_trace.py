"""What tracing costs, beside the same training step untraced, in an empty mode, and in DebugMode.

python benchmarks/bench_trace.py [--quick]

The calls of a line take turns, A B A B; times are medians.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from _timing import QUICK, Call, format_seconds, median_seconds, run_python
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_repro import first_divergence, trace
from pytest_repro.core.trace.columns import Columns
from pytest_repro.core.trace.trace import Trace

STEPS = 5
"""Training steps in one trace, which is opened and closed once."""
OPS = 10**3 if QUICK else 10**6


def make_mlp() -> tuple[nn.Module, torch.Tensor]:
    """Three layers of 256, batch 64."""
    layers = [nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers), torch.rand(64, 256)


def make_cnn() -> tuple[nn.Module, torch.Tensor]:
    """Two convolutions with BatchNorm on 16 images of 3 × 32 × 32."""
    layers = [
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(32, 10),
    ]  # fmt: skip
    return nn.Sequential(*layers), torch.rand(16, 3, 32, 32)


def make_transformer() -> tuple[nn.Module, torch.Tensor]:
    """Two layers, d 128, 4 heads, 8 sequences of 64."""
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.rand(8, 64, 128)


def train(pair: tuple[nn.Module, torch.Tensor]) -> Call:
    """A call of ``STEPS`` training steps with SGD and momentum."""
    model, x = pair
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def steps() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            model(x).square().mean().backward()
            optimiser.step()

    return steps


class EmptyMode(TorchDispatchMode):
    """Only calls the op: what every mode written in Python costs."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class HashingDebugMode:
    """DebugMode with a hash of every output, as a context manager."""

    def __enter__(self) -> None:
        from torch.utils._debug_mode import DebugMode

        self._stack = [DebugMode(), DebugMode.log_tensor_hashes()]
        for mode in self._stack:
            mode.__enter__()

    def __exit__(self, *error: Any) -> None:
        for mode in reversed(self._stack):
            mode.__exit__(*error)


def under(call: Call, context: Callable[[], AbstractContextManager[Any]]) -> Call:
    """*call* within *context*."""

    def within() -> None:
        with context():
            call()

    return within


def measure_steps(name: str, make: Callable[[], tuple[nn.Module, torch.Tensor]], repeats: int) -> None:
    """One model: ratios to the plain steps, and the share of DebugMode's extra time."""
    torch.manual_seed(0)
    call = train(make())
    times = median_seconds(
        {
            "plain": call,
            "empty": under(call, EmptyMode),
            "trace": under(call, trace),
            "thorough": under(call, lambda: trace(thorough=True)),
            "DebugMode": under(call, HashingDebugMode),
        },
        repeats,
    )
    with trace() as traced:
        call()
    plain = times.pop("plain")
    extra = (times["trace"] - plain) / (times["DebugMode"] - plain)
    ratios = "  ".join(f"{mode} {seconds / plain:.2f}" for mode, seconds in times.items())
    per_op = format_seconds((times["trace"] - plain) / len(traced))
    print(f"{name:12} {format_seconds(plain / STEPS):>8} a step, {len(traced) // STEPS} ops: {ratios}")
    print(f"{'':12} extra {per_op} an op, {extra:.2f} of DebugMode's")


def measure_after() -> None:
    """A trace that has ended costs nothing."""
    call = train(make_mlp())
    before = median_seconds({"a": call}, 9)["a"]
    with trace():
        call()
    print(f"after a trace {median_seconds({'a': call}, 9)['a'] / before:.2f} of the time before it")


FIRST = """if True:
    import sys, time, torch, pytest_repro.traces.dispatch_mode
    from pytest_repro import trace
    known = set(sys.modules)
    start = time.perf_counter()
    with trace():
        torch.ones(2).add(1)
    print((time.perf_counter() - start) * 1e3, len(set(sys.modules) - known))
"""


def measure_first() -> None:
    """The first traced op of a process."""
    rounds = 1 if QUICK else 5
    lines = [run_python(FIRST).split() for _ in range(rounds)]
    milliseconds = sorted(float(words[0]) for words in lines)[rounds // 2]
    print(f"first traced op {milliseconds:.1f} ms, {lines[0][1]} modules imported by it")


MEMORY = f"""if True:
    import sys
    sys.path.insert(0, {sys.path[0]!r})
    import torch
    from _timing import measure_extra_memory
    from pytest_repro import trace
    from pytest_repro.core.trace.columns import Columns
    t = torch.ones(4, requires_grad=True)
    def loop():
        with trace() as traced:
            for _ in range({OPS // 4}):
                t.mul(2).sum().backward()
        assert len(traced) >= {OPS}, len(traced)
        return traced
    with trace():
        t.mul(2).sum().backward()
    print(measure_extra_memory(loop))
"""


def measure_memory() -> None:
    """A small training loop."""
    print(f"memory {int(run_python(MEMORY)) / OPS:.0f} bytes an op, of {OPS:,}")


def measure_comparison() -> None:
    """Two equal traces: comparing, saving and loading them."""
    traces = [Trace(make_columns()) for _ in range(2)]
    start = time.perf_counter()
    assert first_divergence(*traces) is None
    middle = time.perf_counter()
    data = traces[0].to_bytes()
    packed = time.perf_counter()
    Trace.from_bytes(data)
    print(
        f"{OPS:,} ops: compared in {format_seconds(middle - start)}, {len(data) / 1e6:.0f} MB packed in "
        f"{format_seconds(packed - middle)}, read in {format_seconds(time.perf_counter() - packed)}"
    )


def make_columns() -> Columns:
    columns = Columns()
    name, place, kind = columns.names.intern("op"), columns.places.intern("f:1"), columns.kinds.intern("k")
    for number in range(1, OPS + 1):
        columns.add((name, place, -1, [number], [kind], [number], 0, 0))
    return columns


def main() -> None:
    torch.set_num_threads(1)
    measure_first()
    for make in (make_mlp, make_cnn, make_transformer):
        measure_steps(make.__name__.removeprefix("make_"), make, 11)
    measure_after()
    measure_memory()
    measure_comparison()


if __name__ == "__main__":
    main()
