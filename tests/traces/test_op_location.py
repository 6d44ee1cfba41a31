"""Location of an op: the innermost line outside libraries; its op of the forward pass."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pytest_repro import Trace, trace
from pytest_repro.core.trace.columns import StringTable
from pytest_repro.traces.op_location import Locator
from tests.traces.tracing import find_divergence, find_line, find_op, op_names, trace_call


def gather(weight: Any, index: Any) -> Any:
    return weight[index]  # indexing


def step(weight: Any, index: Any) -> None:
    loss = gather(weight, index).mul(2).sum()
    loss.backward()  # backward pass


@pytest.fixture
def racing() -> Iterator[None]:
    """Every second call of index_put returns another rounding, as threads can cause."""
    call_numbers = iter(range(1000))

    def index_put(t: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
        out = t.clone()
        for i, value in zip(indices[0].tolist(), values):
            out[i] += value
        if next(call_numbers) % 2:
            out[0] = torch.nextafter(out[0], out.new_tensor(9.0))
        return out

    library: Any = torch.library.Library("aten", "IMPL")
    library.impl("index_put", index_put, "CPU", allow_override=True)
    yield
    library._destroy()


@pytest.mark.usefixtures("racing")
def test_race_in_a_backward_pass_is_found_at_the_forward_line() -> None:
    index = torch.tensor([0, 0, 1])

    def program() -> None:
        step(torch.ones(3, 2, requires_grad=True), index)

    found = find_divergence(program, program)
    assert (found.kind, found.op) == ("value", "aten.index_put.default")
    assert found.location == find_line(step, "# backward pass")
    assert found.forward_location == find_line(gather, "# indexing")


def links(found: Trace) -> dict[str, str]:
    """The forward op of each op of the backward pass."""
    return {
        op.name.removeprefix("aten."): found[op.forward].name.removeprefix("aten.")
        for op in found
        if op.forward is not None
    }


def test_backward_ops_have_their_forward_op() -> None:
    x: Any = torch.rand(3, 3, requires_grad=True)
    found = trace_call(lambda: x.sin().mm(x).exp().sum().backward())
    assert op_names(found)[:4] == ["sin.default", "mm.default", "exp.default", "sum.default"]
    assert [found[op.forward].name for op in found if op.name == "aten.mm.default" and op.forward] == [
        "aten.mm.default"
    ] * 2
    assert links(found)["cos.default"] == "sin.default"
    assert all(op.forward_location for op in found if op.forward is not None)
    assert find_op(found, "exp.default").forward is None


def view(x: Any) -> Any:
    return x.expand(4, 3)  # has no entry


def test_views_have_no_entry_but_a_line() -> None:
    x: Any = torch.rand(3, requires_grad=True)
    found = trace_call(lambda: view(x).sum().backward())
    summed = [op for op in found if op.name == "aten.sum.dim_IntList"]
    assert [(op.forward, op.forward_location) for op in summed] == [(None, find_line(view, "has no entry"))]


class Cubed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.pow(3)  # custom forward

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.mul(x.pow(2)).mul(3)  # custom backward


def test_custom_autograd_functions() -> None:
    cubed: Any = Cubed.apply
    x: Any = torch.rand(3, requires_grad=True)
    found = trace_call(lambda: cubed(x).sum().backward())
    derived = [op for op in found if op.location == find_line(Cubed, "# custom backward")]
    assert len(derived) == 3
    assert {op.forward_location for op in derived} == {find_line(Cubed, "# custom forward")}


def block(x: Any) -> Any:
    return x.tanh().mul(x)  # computed twice


def test_checkpointed_blocks() -> None:
    x: Any = torch.rand(3, requires_grad=True)
    found = trace_call(lambda: checkpoint(block, x, use_reentrant=False).sum().backward())
    assert op_names(found).count("tanh.default") == 2
    assert find_op(found, "tanh_backward.default").forward_location == find_line(block, "computed twice")


def test_gradients_of_gradients() -> None:
    x: Any = torch.rand(3, requires_grad=True)

    def program() -> None:
        (first,) = torch.autograd.grad(x.sin().sum(), x, create_graph=True)
        first.sum().backward()

    found = trace_call(program)
    assert links(found) == {
        "mul.Tensor": "cos.default", "cos.default": "sin.default", "neg.default": "cos.default",
        "sin.default": "cos.default",
    }  # fmt: skip


def test_nodes_created_before_the_trace_are_not_linked() -> None:
    x: Any = torch.rand(3, requires_grad=True)
    loss = x.sin().exp().sum()
    found = trace_call(lambda: (torch.ones(2, requires_grad=True).add(1).mul(2), loss.backward()))
    assert op_names(found)[:3] == ["ones.default", "add.Tensor", "mul.Tensor"]
    assert links(found) == {}


def test_ops_that_raise_keep_links_correct() -> None:
    x: Any = torch.rand(3, requires_grad=True)

    def program() -> None:
        y = x.sin()
        with pytest.raises(RuntimeError, match="size"):
            y.mul(torch.ones(2))
        y.exp().sum().backward()

    assert links(trace_call(program))["cos.default"] == "sin.default"
    assert links(trace_call(program))["mul.Tensor"] in ("sin.default", "exp.default")


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.Adam(p, foreach=True), lambda p: torch.optim.SGD(p, 0.1)]
)
def test_ops_of_optimisers_have_no_forward_op(make: Callable[[Any], Any]) -> None:
    x: Any = torch.rand(3, requires_grad=True)
    optimiser = make([x])

    def program() -> None:
        x.sin().sum().backward()
        optimiser.step()

    found = trace_call(program)
    last = op_names(found).index("cos.default")
    locations = {op.location for op in found if op.name.startswith("aten._foreach_")}
    assert len(locations) <= 1
    assert all(op.forward is None for op in found[last + 2 :])


def inner(x: Any) -> Any:
    return x.mul(2)  # innermost


def outer(x: Any) -> Any:
    y = inner(x).add(1)  # first
    return y.add(2)  # second


def test_innermost_user_line() -> None:
    found = trace_call(lambda: outer(torch.ones(2)))
    expected = [find_line(inner, "innermost"), find_line(outer, "first"), find_line(outer, "second")]
    assert [op.location for op in found][1:] == expected


def model(x: Any) -> Any:
    layers = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    return layers(x)  # calls modules of torch


def test_frames_of_torch_and_python_are_skipped() -> None:
    def program() -> None:
        model(torch.ones(1, 2))
        torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1).step()
        list(map(inner, [torch.ones(1)]))

    found = trace_call(program)
    locations = [op.location for op in found if op.name in ("aten.addmm.default", "aten.relu.default")]
    assert locations == [find_line(model, "# calls modules of torch")] * 2
    assert found[-1].location == find_line(inner, "innermost")


def compile_call(text: str, name: str, module: str = "") -> Callable[[Any], Any]:
    namespace: dict[str, Any] = {"__name__": module}
    exec(compile(text, name, "exec"), namespace)
    call = namespace["call"]
    assert isinstance(call.__code__, CodeType)
    return call  # type: ignore[no-any-return]


CALL = "def call(x):\n    return x.add(1)\n"


@pytest.mark.parametrize(
    ("name", "module", "is_user"),
    [
        ("/home/me/model.py", "model", True),
        ("<stdin>", "__main__", True),
        ("<ipython-input-3-abc>", "__main__", True),
        ("<doctest README.md[0]>", "__main__", True),
        ("<string>", "__main__", True),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap", False),
        ("<__array_function__ internals>", "numpy", False),
        ("<attrs generated init a.B>", "a", False),
        ("/home/me/.venv/lib/python3.12/site-packages/lightning/trainer.py", "lightning.trainer", False),
        ("/usr/lib/python3/dist-packages/lightning/trainer.py", "lightning.trainer", False),
        ("/home/me/my-site-packages/model.py", "model", True),
        ("/home/me/pytorch/torch/nn/x.py", "torch.nn.x", False),
        (str(Path(torch.__file__).parent.parent / "torchish.py"), "torchish", False),
        (str(Path(sys.modules["json"].__file__ or "").parent / "decoder.py"), "json.decoder", False),
        ("/home/me/pytest_repro/traces/x.py", "pytest_repro.traces.x", False),
    ],
)
def test_user_code(name: str, module: str, is_user: bool) -> None:
    call = compile_call(CALL, name, module)
    op = trace_call(lambda: call(torch.ones(2)))[1]  # fallback
    assert op.location == (f"{name}:2" if is_user else find_line(test_user_code, "# fallback"))


def test_relative_file_names_become_absolute() -> None:
    call = compile_call(CALL, "model.py")
    assert trace_call(lambda: call(torch.ones(2)))[1].location == f"{Path('model.py').absolute()}:2"


@pytest.mark.parametrize("module", ["_pytest.runner", "pytest_repro.companions.remote_main"])
def test_callers_of_pytest_and_of_a_companion_are_no_user_code(module: str) -> None:
    """The process of an experiment begins with execnet's code, named ``<string>``, in ``__main__``."""
    x, op_call = torch.ones(2), compile_call(CALL, torch.__file__, "torch.x")
    start = compile_call("def call(run):\n    return run()\n", "/site-packages/start.py", module)
    ops = trace_call(lambda: [start(lambda: op_call(x)), start(partial(op_call, x))])
    assert [op.location.rpartition(":")[0] for op in ops] == [__file__, ""]


def test_no_user_code() -> None:
    assert Locator(texts := StringTable()).locate(None) == 0
    assert texts.strings == [""]


def test_scripts_that_start_the_runner_are_no_user_code() -> None:
    call_next = "def call(rest):\n    return rest[0](rest[1:])\n"
    locator = Locator(texts := StringTable())
    script = compile_call(call_next, "<string>", "__main__")
    runner = compile_call(call_next, "/x/site-packages/_pytest/runner.py", "_pytest.runner")
    library = compile_call(call_next, "/x/site-packages/lib.py", "lib")
    script([runner, library, lambda _: locator.locate(sys._getframe(1))])
    assert texts.strings == [""]


def test_several_ops_in_a_line_and_several_lines_of_an_op() -> None:
    def program(x: Any) -> None:
        x.add(1).add(2)  # twice
        x.mul(
            3,
        ).mul(4)  # lower

    found = trace_call(lambda: program(torch.ones(2)))[1:]
    assert [op.location for op in found[:2]] == [find_line(program, "# twice")] * 2
    path, _, lower = find_line(program, "# lower").rpartition(":")
    assert found[2].location == f"{path}:{int(lower) - 2}"
    assert found[3].location in (found[2].location, f"{path}:{lower}")  # depends on the Python version


def test_reused_ids_of_code_objects() -> None:
    """Functions made in a loop reuse the addresses of earlier ones."""
    with trace() as found:
        x = torch.ones(2)
        for number in range(50):
            compile_call("\n" * number + CALL, f"/made/{number}.py")(x)
    assert [op.location for op in found][1:] == [f"/made/{n}.py:{n + 2}" for n in range(50)]
