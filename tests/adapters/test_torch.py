from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from pytest_repro.adapters.torch import adapter


@pytest.mark.parametrize("requires_grad", [False, True])
def test_copies_share_neither_memory_nor_graph(requires_grad: bool) -> None:
    t = torch.rand(3, 2).t().requires_grad_(requires_grad)
    for copy in (adapter.copy_array(t), adapter.copy_at_offset(t, 1), adapter.copy_array(t * 1)):
        assert torch.equal(copy, t)
        assert (copy.requires_grad, copy.is_leaf) == (requires_grad, True)
        with torch.no_grad():
            copy.zero_()
        adapter.restore_array(copy, t.detach())
        assert torch.equal(copy, t)
    assert [adapter.copy_at_offset(t, n).storage_offset() for n in (0, 3)] == [0, 3]
    assert adapter.copy_at_offset(t, 3).is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_view_as_integers(dtype: Any, requires_grad: bool) -> None:
    t = torch.tensor([[1.0, 2.0]], dtype=dtype, requires_grad=requires_grad)
    integers = adapter.view_as_integers(t)
    integers[0, 1] += 1
    assert integers.shape == (1, 2)
    assert t.tolist() == [[1.0, 2.0 + 2 * torch.finfo(dtype).eps]]


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64, torch.float8_e5m2], ids=str)
def test_only_floats_are_viewed_as_integers(dtype: Any) -> None:
    assert adapter.view_as_integers(torch.zeros(2).to(dtype)) is None


def test_concatenate() -> None:
    assert adapter.concatenate((torch.ones(1), torch.zeros(2))).tolist() == [1, 0, 0]


def test_base_attributes() -> None:
    class Counter(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = 0

    module = Counter()
    assert set(vars(module)) - set(adapter.base_attributes(module)) == {"steps"}
    assert not adapter.base_attributes(np.zeros(1))
