"""An op of the backward pass is told with the line of the forward op that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch.utils.checkpoint import checkpoint

from pytest_repro import Trace
from tests.traces.tracing import line, names, only, parted, traced


def gather(weight: Any, index: Any) -> Any:
    return weight[index]  # the user's indexing


def step(weight: Any, index: Any) -> None:
    loss = gather(weight, index).mul(2).sum()
    loss.backward()  # where the backward pass begins


@pytest.fixture
def racing() -> Iterator[None]:
    """Every second backward pass of an index adds in another order, as threads may."""
    calls = iter(range(1000))

    def index_put(t: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
        out = t.clone()
        for at, value in zip(indices[0].tolist(), values):
            out[at] += value
        if next(calls) % 2:
            out[0] = torch.nextafter(out[0], out.new_tensor(9.0))
        return out

    library: Any = torch.library.Library("aten", "IMPL")
    library.impl("index_put", index_put, "CPU", allow_override=True)
    yield
    library._destroy()


@pytest.mark.usefixtures("racing")
def test_a_race_in_the_backward_pass_of_an_index_is_found_at_the_forward_line() -> None:
    index = torch.tensor([0, 0, 1])

    def program() -> None:
        step(torch.ones(3, 2, requires_grad=True), index)

    found = parted(program, program)
    assert (found.kind, found.op) == ("value", "aten.index_put.default")
    assert found.location == line(step, "where the backward pass begins")
    assert found.forward_location == line(gather, "the user's indexing")


def links(found: Trace) -> dict[str, str]:
    """By op of the backward pass, the op it belongs to."""
    return {
        op.name.removeprefix("aten."): found[op.forward].name.removeprefix("aten.")
        for op in found
        if op.forward is not None
    }


def test_each_backward_op_belongs_to_its_forward_op() -> None:
    x: Any = torch.rand(3, 3, requires_grad=True)
    found = traced(lambda: x.sin().mm(x).exp().sum().backward())
    assert names(found)[:4] == ["sin.default", "mm.default", "exp.default", "sum.default"]
    assert [found[op.forward].name for op in found if op.name == "aten.mm.default" and op.forward] == [
        "aten.mm.default"
    ] * 2
    assert links(found)["cos.default"] == "sin.default"
    assert all(op.forward_location for op in found if op.forward is not None)
    assert only(found, "exp.default").forward is None


def view(x: Any) -> Any:
    return x.expand(4, 3)  # has no entry


def test_a_view_has_no_entry_but_a_line() -> None:
    x: Any = torch.rand(3, requires_grad=True)
    found = traced(lambda: view(x).sum().backward())
    summed = [op for op in found if op.name == "aten.sum.dim_IntList"]
    assert [(op.forward, op.forward_location) for op in summed] == [(None, line(view, "has no entry"))]


class Cubed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.pow(3)  # within a function of the user's

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.mul(x.pow(2)).mul(3)  # its derivative


def test_functions_of_the_users() -> None:
    cubed: Any = Cubed.apply
    x: Any = torch.rand(3, requires_grad=True)
    found = traced(lambda: cubed(x).sum().backward())
    derived = [op for op in found if op.location == line(Cubed, "its derivative")]
    assert len(derived) == 3
    assert {op.forward_location for op in derived} == {line(Cubed, "within a function of the user's")}


def block(x: Any) -> Any:
    return x.tanh().mul(x)  # computed twice


def test_what_is_computed_again_within_the_backward_pass() -> None:
    x: Any = torch.rand(3, requires_grad=True)
    found = traced(lambda: checkpoint(block, x, use_reentrant=False).sum().backward())
    assert names(found).count("tanh.default") == 2
    assert only(found, "tanh_backward.default").forward_location == line(block, "computed twice")


def test_a_gradient_of_a_gradient() -> None:
    x: Any = torch.rand(3, requires_grad=True)

    def program() -> None:
        (first,) = torch.autograd.grad(x.sin().sum(), x, create_graph=True)
        first.sum().backward()

    found = traced(program)
    assert links(found) == {
        "mul.Tensor": "cos.default", "cos.default": "sin.default", "neg.default": "cos.default",
        "sin.default": "cos.default",
    }  # fmt: skip


def test_nodes_of_before_the_trace_and_of_other_programs_are_not_mistaken() -> None:
    x: Any = torch.rand(3, requires_grad=True)
    loss = x.sin().exp().sum()
    found = traced(lambda: (torch.ones(2, requires_grad=True).add(1).mul(2), loss.backward()))
    assert names(found)[:3] == ["ones.default", "add.Tensor", "mul.Tensor"]
    assert links(found) == {}


def test_ops_that_raise_link_nothing_wrongly() -> None:
    x: Any = torch.rand(3, requires_grad=True)

    def program() -> None:
        y = x.sin()
        with pytest.raises(RuntimeError, match="size"):
            y.mul(torch.ones(2))
        y.exp().sum().backward()

    assert links(traced(program))["cos.default"] == "sin.default"
    assert links(traced(program))["mul.Tensor"] in ("sin.default", "exp.default")


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.Adam(p, foreach=True), lambda p: torch.optim.SGD(p, 0.1)]
)
def test_ops_of_no_backward_pass_belong_to_none(make: Callable[[Any], Any]) -> None:
    x: Any = torch.rand(3, requires_grad=True)
    optimiser = make([x])

    def program() -> None:
        x.sin().sum().backward()
        optimiser.step()

    found = traced(program)
    at = names(found).index("cos.default")
    own = {op.location for op in found if op.name.startswith("aten._foreach_")}
    assert len(own) <= 1
    assert all(op.forward is None for op in found[at + 2 :])
