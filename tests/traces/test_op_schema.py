"""Memory that an op leaves as it was given, or takes without reading it, is no difference."""

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
from tests.traces.tracing import traced

_PERTURB = -6  # of mallopt: what freshly given memory holds


@pytest.fixture
def filling() -> Iterator[Callable[[int], None]]:
    """Has the allocator fill what it gives."""
    if not sys.platform.startswith("linux") or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        pytest.skip("needs glibc")
    yield lambda value: libc.mallopt(_PERTURB, value)
    libc.mallopt(_PERTURB, 0)


def trained(module: Any, *shape: int) -> Callable[[], object]:
    """One training step of *module*."""

    def step() -> None:
        result = module(torch.rand(shape, requires_grad=True))
        (result[0] if isinstance(result, tuple) else result).sum().backward()

    return step


PROGRAMS: dict[str, Callable[[], object]] = {
    "lstm": lambda: trained(nn.LSTM(8, 8, 2), 5, 3, 8)(),
    "lstm, eval": lambda: nn.LSTM(8, 8).eval()(torch.rand(5, 3, 8)),
    "gru": lambda: trained(nn.GRU(8, 8), 5, 3, 8)(),
    "rrelu": lambda: trained(nn.RReLU(), 9)(),
    "rrelu, eval": lambda: trained(nn.RReLU().eval(), 9)(),
    "rrelu_": lambda: F.rrelu(-torch.rand(9), training=True, inplace=True),
    "orthogonal": lambda: nn.init.orthogonal_(torch.empty(4, 4)),
    "like": lambda: (torch.zeros_like(torch.empty(4)), torch.rand_like(torch.empty(4))),
    "new": lambda: (torch.empty(4).new_zeros(3), torch.empty(4).new_full((3,), 2)),
    "bag": lambda: nn.EmbeddingBag(5, 3)(torch.tensor([1, 2, 4]), torch.tensor([0, 2])).sum().backward(),
    "attention": lambda: trained(nn.TransformerEncoderLayer(8, 2, 16), 5, 3, 8)(),
    "batch norm": lambda: trained(nn.BatchNorm2d(3), 2, 3, 4, 4)(),
    "lu": lambda: torch.linalg.lu(torch.rand(4, 4)),
}


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_what_the_allocator_gives_does_not_count(
    program: Callable[[], object], thorough: bool, filling: Callable[[int], None]
) -> None:
    def filled(value: int) -> Trace:
        torch.manual_seed(0)
        filling(value)
        return traced(program, thorough)

    first, second = filled(0xAA), filled(0x55)
    assert len(first) > 1
    assert first_divergence(first, second) is None


def test_what_nobody_wrote_to_does_count_where_it_is_read(filling: Callable[[int], None]) -> None:
    filling(0xAA)
    first = traced(lambda: torch.empty(1000).add(1))
    filling(0x55)
    found = first_divergence(first, traced(lambda: torch.empty(1000).add(1)))
    assert found is not None
    assert (found.kind, found.op) == ("input", "aten.add.Tensor")


def test_all_that_an_op_writes_is_digested() -> None:
    aten: Any = torch.ops.aten
    expected = {
        aten.add_.Tensor: (),
        aten._foreach_add_.Scalar: (0,),
        aten._amp_update_scale_.default: (1,),  # its first argument comes back
        aten.native_batch_norm.default: (3, 4),
        aten._native_batch_norm_legit.default: (3, 4),
        aten._fused_adam_.default: (0, 1, 2, 3, 4),
    }
    assert {op: read_schema(op).unreturned_arguments for op in expected} == expected


def test_running_statistics_are_written() -> None:
    module = nn.BatchNorm1d(2)
    found = traced(lambda: (module(torch.rand(4, 2)), module.running_mean.clone()))  # type: ignore[union-attr]
    (norm,) = [op for op in found if "batch_norm" in op.name]
    assert norm.kinds[-2:] == ("float32[2]", "float32[2]")
    assert found[-1].outputs == (norm.outputs[-2],)
    assert found[-1].inputs == ()


def test_views_compute_nothing() -> None:
    x: Any = torch.ones(2, 2, 2)
    x.grad = torch.ones(2, 2, 2)
    found = traced(
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


def test_an_op_that_gives_nothing_and_writes_nothing_has_no_entry() -> None:
    found = traced(lambda: torch.ops.aten._assert_async(torch.ones(1)))
    assert [op.name for op in found] == ["aten.ones.default"]
