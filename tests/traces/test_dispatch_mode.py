"""A trace does not change the program, whatever other modes are active."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._debug_mode import DebugMode
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

from pytest_repro import Trace, first_divergence, trace
from pytest_repro.traces import pause_tracing, trace_value
from tests.traces.tracing import (
    custom_op,
    find_divergence,
    find_line,
    find_op,
    have_equal_traces,
    op_names,
    run_untraced,
    trace_call,
)

PLAIN = ["ones.default", "add.Tensor", "sum.default"]


def program() -> Any:
    return torch.ones(3).add(1).sum()


class Functions(TorchFunctionMode):
    """Records the functions of torch that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))


class Ops(TorchDispatchMode):
    """Records the ops that run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": nullcontext,
    "functions": Functions,
    "ops": Ops,
    "device": lambda: torch.device("cpu"),
    "autocast": lambda: torch.autocast("cpu", enabled=True),
    "inference": torch.inference_mode,
    "no grad": torch.no_grad,
    "saved": lambda: torch.autograd.graph.save_on_cpu(),
    "debug": DebugMode,
    "thorough": lambda: trace(thorough=True),
    "trace": trace,
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_other_modes_do_not_change_the_trace(mode: Callable[[], AbstractContextManager[Any]]) -> None:
    expected = trace_call(program)
    with mode():
        below = trace_call(program)
    with trace() as above, mode():
        assert program().item() == 6
    for found in (below, Trace.from_ops(above[:3])):
        assert op_names(found) == PLAIN
        assert first_divergence(expected, found) is None


@pytest.mark.parametrize("mode", [Functions, Ops])
def test_other_modes_do_not_see_our_ops(mode: Callable[[], Any]) -> None:
    """With tensors whose values are read through ops of torch."""
    z = run_untraced(lambda: (torch.complex(torch.ones(2), torch.ones(2)).conj(), torch.eye(3).to_sparse()))

    def run() -> None:
        torch.manual_seed(0)
        for t in z:
            t.clone()
        torch.rand(3).add(1)[1:].sum()

    with mode() as alone:
        run()
    for thorough in (False, True):
        with mode() as observer, trace(thorough):
            run()
        assert observer.seen == alone.seen
        with trace(thorough), mode() as observer:
            run()
        assert observer.seen == alone.seen


def test_nested_traces() -> None:
    with trace() as outer:
        torch.ones(1)
        with trace() as inner, trace(thorough=True) as innermost:
            program()
        torch.zeros(1)
    assert op_names(inner) == op_names(innermost) == PLAIN
    assert op_names(outer) == ["ones.default", *PLAIN, "zeros.default"]
    assert [op.location for op in outer][1:4] == [op.location for op in inner]


def test_fake_tensors_are_ignored() -> None:
    with trace() as found:
        torch.ones(2)
        with FakeTensorMode() as fake:
            (torch.ones(2) + 1).sum()
            assert type(fake.from_tensor(torch.ones(3)) * 2).__name__ == "FakeTensor"
        torch.zeros(2)
    assert op_names(found)[0] == "ones.default"
    assert op_names(found)[-1] == "zeros.default"
    assert "add.Tensor" not in op_names(found)


def raise_shape_error() -> None:
    torch.ones(2).mm(torch.ones(3))


def test_errors_of_ops_are_unchanged() -> None:
    caught = []
    for context in (nullcontext, trace):
        with pytest.raises(RuntimeError) as error, context():
            raise_shape_error()
        frames = [str(entry.path) for entry in error.traceback if entry.path != Path(__file__)]
        caught.append((str(error.value), error.type, error.value.__context__, error.value.__cause__))
    assert caught[0] == caught[1]
    assert all(
        "dispatch_mode.py" in path or "contextlib" in path for path in frames if "pytest_repro" in path
    )


def test_traces_continue_after_an_error() -> None:
    class Stop(BaseException):
        pass

    def stops(x: Any) -> Any:
        raise Stop

    with custom_op("stops(Tensor x) -> Tensor", stops) as op:
        with trace() as found:
            x: Any = torch.ones(2)
            with pytest.raises(Stop):
                op(x)
            x.add(1)
        with pytest.raises(Stop), trace() as ended:
            op(torch.ones(2))
    assert op_names(found) == ["ones.default", "add.Tensor"]
    assert op_names(ended) == ["ones.default"]
    assert _get_current_dispatch_mode() is None
    trace_value("late", ("1" * 16,))
    assert len(ended) == 1


def test_results_are_the_same_objects() -> None:
    x: Any = torch.ones(2)
    with trace():
        assert x.add_(1) is x
        assert torch.add(x, 1, out=x) is x
        assert type(torch.nn.Parameter(x)) is torch.nn.Parameter
        assert x.requires_grad is False
        assert torch.ones(2, requires_grad=True).mul(2).grad_fn is not None


def test_other_threads_are_not_traced() -> None:
    with trace() as found:
        run_untraced(program)
        program()
    assert op_names(found) == PLAIN


def test_threads_trace_their_own_ops() -> None:
    found: dict[int, Trace] = {}

    def run(number: int) -> None:
        with trace() as own_trace:
            for _ in range(50):
                torch.full((2,), float(number)).add(1)
            trace_value("record n", (f"{number:016x}",))
        found[number] = own_trace

    threads = [Thread(target=run, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, own_trace in found.items():
        assert op_names(own_trace) == ["full.default", "add.Tensor"] * 50 + ["record n"]
        assert len({op.outputs for op in own_trace}) == 3
        assert own_trace[-1].inputs == (f"{number:016x}",)


def recording() -> None:
    torch.ones(1)
    trace_value("record loss[3]", ("00000000000000ff" + "0" * 16, ""))  # recorded


def test_recorded_values_have_a_location() -> None:
    found = trace_call(recording)
    assert op_names(found) == ["ones.default", "record loss[3]"]
    assert found[1].inputs == ("00000000000000ff", "")
    assert (found[1].outputs, found[1].location) == ((), find_line(recording, "# recorded"))
    trace_value("nowhere", ("1" * 16,))


def test_pause_tracing() -> None:
    with trace() as found:
        torch.ones(1)
        with pause_tracing():
            torch.zeros(1)
        torch.ones(1)
        with pytest.raises(KeyError), pause_tracing():
            raise KeyError
        torch.ones(1)
    assert op_names(found) == ["ones.default"] * 3
    with pause_tracing():
        torch.zeros(1)


def test_pause_tracing_pauses_all_traces() -> None:
    with trace() as outer, trace() as inner, Ops() as ops:
        with pause_tracing():
            torch.zeros(1)
        torch.ones(1)
    assert op_names(outer) == op_names(inner) == ["ones.default"]
    assert ops.seen == ["aten.zeros.default", "aten.ones.default"]


COMPILED = pytest.mark.parametrize("backend", ["eager", "aot_eager"])


@pytest.fixture
def _compiling() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@COMPILED
@pytest.mark.usefixtures("_compiling")
@pytest.mark.filterwarnings("ignore")
def test_compiled_functions_run_unchanged(backend: str) -> None:
    graphs: list[Any] = []

    def counted(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    @torch.compile(backend=counted)
    def step(x: Any) -> Any:
        return (x * 2).sin().sum()

    x: Any = torch.ones(4, requires_grad=True)
    expected = torch.autograd.grad(step(x), x)[0]
    with trace() as found:
        got = torch.autograd.grad(step(x), x)[0]
        step(x)
    assert torch.equal(got, expected)
    assert op_names(found).count("sin.default") == 2
    assert have_equal_traces(lambda: torch.autograd.grad(step(x), x), lambda: torch.autograd.grad(step(x), x))
    assert len(graphs) <= 2  # once without and once with a trace


@pytest.mark.usefixtures("_compiling")
@pytest.mark.filterwarnings("ignore")
def test_results_of_compiled_regions_are_inputs() -> None:
    """The kernels of the region are no ops of torch: here it computes on another thread."""
    factors = iter([2.0, 3.0])

    def backend(graph: Any, inputs: Any) -> Any:
        return lambda *args: run_untraced(lambda: [args[0].detach() * next(factors)])

    def doubled(x: Any) -> Any:
        return x * 2

    step: Any = torch.compile(doubled, backend=backend)
    found = find_divergence(lambda: step(torch.ones(3)).clone(), lambda: step(torch.ones(3)).clone())
    assert (found.kind, found.op) == ("input", "aten.clone.default")


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "vmap": lambda x: torch.vmap(torch.sin)(x),
    "grad": lambda x: torch.func.grad(lambda y: y.sin().sum())(x),
    "jacrev": lambda x: torch.func.jacrev(torch.sin)(x),
    "jacfwd": lambda x: torch.func.jacfwd(torch.sin)(x),
    "hessian": lambda x: torch.func.hessian(lambda y: y.sin().sum())(x),
    "jvp": lambda x: torch.func.jvp(torch.sin, (x,), (x,)),
    "functionalize": lambda x: torch.func.functionalize(lambda y: y.clone().sin_())(x),
    "per sample": lambda x: torch.vmap(torch.func.grad(lambda y: y.sin().sum()))(x),
    "dual": lambda x: vars(torch.autograd.functional)["jvp"](torch.sin, x, x),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("thorough", [False, True])
def test_function_transforms(transform: Callable[[Any], Any], thorough: bool) -> None:
    x, other = run_untraced(lambda: (torch.rand(3, 3), torch.rand(3, 3)))
    expected = transform(x)
    with trace(thorough) as found:
        got = transform(x)
    pairs = zip(got, expected) if isinstance(got, tuple) else [(got, expected)]
    assert all(torch.equal(*pair) for pair in pairs)
    assert any(name.startswith("sin") for name in op_names(found))
    assert have_equal_traces(lambda: transform(x), lambda: transform(x))
    assert find_divergence(lambda: transform(x), lambda: transform(other), thorough).kind == "input"


def test_higher_order_ops() -> None:
    from torch._higher_order_ops.flex_attention import flex_attention

    q = torch.rand(1, 1, 4, 16)
    with trace() as found:
        result = flex_attention(q, q, q, lambda score, *_: score, _mask(), 1.0, {})
    assert len(found)
    assert torch.isfinite(result[0]).all()


def _mask() -> Any:
    from torch.nn.attention.flex_attention import _create_empty_block_mask

    q = torch.rand(1, 1, 4, 16)
    return _create_empty_block_mask(q, q).as_tuple()


def test_scalars_from_tensors() -> None:
    found = trace_call(lambda: bool(torch.ones(1) > 0))
    assert op_names(found) == ["ones.default", "gt.Scalar", "_local_scalar_dense.default"]
    assert find_op(found, "_local_scalar_dense.default").kinds == ("bool",)


def test_modes_are_removed_after_an_error() -> None:
    handle = torch.Tensor.__torch_dispatch__
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), trace():
            1 / 0
    assert _get_current_dispatch_mode() is None
    assert torch.Tensor.__torch_dispatch__ is handle
    with Ops() as ops:
        program()
    assert ops.seen == [f"aten.{name}" for name in PLAIN]


def run_in_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


FIRST = """if True:
    import sys, torch
    from pytest_repro import trace
    assert "torch._dynamo" not in sys.modules
    import pytest_repro.traces.dispatch_mode
    known = set(sys.modules)
    with trace() as found:
        torch.ones(2, requires_grad=True).add(1).sum().backward()
    print(len(found) > 3, [name for name in set(sys.modules) - known if "torch" in name])
"""


def test_the_first_op_imports_nothing() -> None:
    assert run_in_process(FIRST) == "True []"


WITHOUT = """if True:
    import sys
    from pytest_repro import trace
    from pytest_repro.traces import pause_tracing, trace_value
    with trace() as found, pause_tracing():
        trace_value("record x", ("00000000000000ff",))
    print([op.name for op in found], {"torch", "numpy"} & set(sys.modules))
    sys.modules["torch"] = None
    with trace() as found:
        trace_value("record y", ("00000000000000ff",))
    print([op.name for op in found])
"""


def test_without_torch_only_recorded_values_are_traced() -> None:
    assert run_in_process(WITHOUT) == "['record x'] set()\n['record y']"


SECOND = """if True:
    import os, sys, threading, torch
    import tests.axes.second_device
    from pytest_repro import trace, first_divergence
    torch.set_default_device("cpu")

    def run(factor):
        w: Any = torch.ones(3, device="second", requires_grad=True)
        with trace() as found:
            threads = []
            y = w.mul(factor)  # forward
            y.register_hook(lambda grad: threads.append(threading.current_thread()))
            y.exp().sum().backward()
        return found, threads

    found, threads = run(2)
    print(threads[0] is threading.main_thread())
    linked = [op for op in found if op.forward is not None]
    print([(op.name, *(x.rpartition(":")[2] for x in (op.forward_location, op.location))) for op in linked])
    print(all(digest for op in found for digest in op.outputs), first_divergence(found, run(2)[0]))
    print(first_divergence(found, run(3)[0]).kind)
    # At the end of the interpreter, torch's thread for this device aborts it, once in 40 times.
    sys.stdout.flush()
    os._exit(0)
"""


def test_autograd_of_another_device_runs_on_its_own_thread() -> None:
    threads, linked, sound, other = run_in_process(SECOND).splitlines()
    assert threads == "False"
    assert linked == "[('aten.mul.Tensor', '13', '13'), ('aten.mul.Tensor', '11', '13')]"
    assert sound == "True None"
    assert other == "input"
