"""Ops of the backward pass have the line of their forward op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch.utils.checkpoint import checkpoint

from pytest_repro import Trace
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
