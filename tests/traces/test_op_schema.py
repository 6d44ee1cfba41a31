"""Uninitialized memory that an op does not read or write makes no difference."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn import functional as F

from pytest_repro import Trace, first_divergence
from pytest_repro.traces.op_schema import read_schema
from tests.traces.tracing import trace_call

_PERTURB = -6  # M_PERTURB of mallopt: the initial bytes of memory


@pytest.fixture
def fill_allocations() -> Iterator[Callable[[int], None]]:
    """Returns a function that sets the bytes with which the allocator fills new memory."""
    if not sys.platform.startswith("linux") or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        pytest.skip("needs glibc")
    yield lambda value: libc.mallopt(_PERTURB, value)
    libc.mallopt(_PERTURB, 0)


def make_training_step(module: Any, *shape: int) -> Callable[[], object]:
    """One training step of *module*."""

    def step() -> None:
        result = module(torch.rand(shape, requires_grad=True))
        (result[0] if isinstance(result, tuple) else result).sum().backward()

    return step


PROGRAMS: dict[str, Callable[[], object]] = {
    "lstm": lambda: make_training_step(nn.LSTM(8, 8, 2), 5, 3, 8)(),
    "lstm, eval": lambda: nn.LSTM(8, 8).eval()(torch.rand(5, 3, 8)),
    "gru": lambda: make_training_step(nn.GRU(8, 8), 5, 3, 8)(),
    "rrelu": lambda: make_training_step(nn.RReLU(), 9)(),
    "rrelu, eval": lambda: make_training_step(nn.RReLU().eval(), 9)(),
    "rrelu_": lambda: F.rrelu(-torch.rand(9), training=True, inplace=True),
    "orthogonal": lambda: nn.init.orthogonal_(torch.empty(4, 4)),
    "like": lambda: (torch.zeros_like(torch.empty(4)), torch.rand_like(torch.empty(4))),
    "new": lambda: (torch.empty(4).new_zeros(3), torch.empty(4).new_full((3,), 2)),
    "bag": lambda: nn.EmbeddingBag(5, 3)(torch.tensor([1, 2, 4]), torch.tensor([0, 2])).sum().backward(),
    "attention": lambda: make_training_step(nn.TransformerEncoderLayer(8, 2, 16), 5, 3, 8)(),
    "batch norm": lambda: make_training_step(nn.BatchNorm2d(3), 2, 3, 4, 4)(),
    "lu": lambda: torch.linalg.lu(torch.rand(4, 4)),
}


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_contents_of_new_memory_do_not_count(
    program: Callable[[], object], thorough: bool, fill_allocations: Callable[[int], None]
) -> None:
    def trace_with_fill(value: int) -> Trace:
        torch.manual_seed(0)
        fill_allocations(value)
        return trace_call(program, thorough)

    first, second = trace_with_fill(0xAA), trace_with_fill(0x55)
    assert len(first) > 1
    assert first_divergence(first, second) is None


def test_reading_uninitialized_memory_counts(fill_allocations: Callable[[int], None]) -> None:
    fill_allocations(0xAA)
    first = trace_call(lambda: torch.empty(1000).add(1))
    fill_allocations(0x55)
    found = first_divergence(first, trace_call(lambda: torch.empty(1000).add(1)))
    assert found is not None
    assert (found.kind, found.op) == ("input", "aten.add.Tensor")


def test_unreturned_arguments() -> None:
    aten: Any = torch.ops.aten
    expected = {
        aten.add_.Tensor: (),
        aten._foreach_add_.Scalar: (0,),
        aten._amp_update_scale_.default: (1,),  # returns its first argument
        aten.native_batch_norm.default: (3, 4),
        aten._native_batch_norm_legit.default: (3, 4),
        aten._fused_adam_.default: (0, 1, 2, 3, 4),
    }
    assert {op: read_schema(op).unreturned_arguments for op in expected} == expected


def test_running_statistics_are_digested() -> None:
    module = nn.BatchNorm1d(2)
    found = trace_call(lambda: (module(torch.rand(4, 2)), module.running_mean.clone()))  # type: ignore[union-attr]
    (norm,) = [op for op in found if "batch_norm" in op.name]
    assert norm.kinds[-2:] == ("float32[2]", "float32[2]")
    assert found[-1].outputs == (norm.outputs[-2],)
    assert found[-1].inputs == ()


def test_views_have_no_entry() -> None:
    x: Any = torch.ones(2, 2, 2)
    x.grad = torch.ones(2, 2, 2)
    found = trace_call(
        lambda: (
            x.view(4, 2), x.mT, x.detach(), x.expand(2, 2, 2, 2), x.unbind(), x.split(1),
            x.unsqueeze(0), x[0], x[..., None], x.movedim(0, 1), x.diagonal(), x.unfold(0, 1, 1), x.grad,
            x.data, x.view(torch.int32), x.as_strided((2,), (1,)), x.requires_grad_(),
            torch.ops.aten._unsafe_view(x, [8]),
        )
    )  # fmt: skip
    assert [op.name for op in found] == []
    assert not read_schema(torch.ops.aten.view_copy.default).untraced
    assert not read_schema(torch.ops.aten.t_.default).untraced


def test_ops_without_results_and_writes_have_no_entry() -> None:
    found = trace_call(lambda: torch.ops.aten._assert_async(torch.ones(1)))
    assert [op.name for op in found] == ["aten.ones.default"]
