from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from pytest_repro.adapters import environment_with_flags
from pytest_repro.adapters import torch as torch_adapter
from pytest_repro.adapters._torch import device_name
from pytest_repro.adapters._torch.determinism import deterministic
from pytest_repro.adapters.torch import adapter

FLAGS = ["torch deterministic_algorithms", "torch float32_matmul_precision", "torch cudnn.allow_tf32"]


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


def test_cpu_libraries() -> None:
    assert set(torch_adapter._read_cpu_libraries()) == {"torch blas", "onednn"}
    assert "unknown" not in torch_adapter._read_cpu_libraries().values()


def test_names_do_not_depend_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch_adapter._read_accelerator.__wrapped__()
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch_adapter, "read_device_name", lambda: "GPU")
    gpu = torch_adapter._read_accelerator.__wrapped__()
    assert (list(cpu), gpu["device"]) == (list(gpu), "GPU")


@pytest.mark.parametrize(
    ("models", "name"),
    [
        (["NVIDIA A"], "NVIDIA A"),
        (["NVIDIA A"] * 2, "NVIDIA A"),
        (["A", "B"], "of CUDA"),
        ([], "of CUDA"),
    ],
)
def test_device_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: list[str], name: str) -> None:
    """With devices of several models only CUDA knows which is the first."""
    for number, model in enumerate(models):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 1\n")
    monkeypatch.setattr(device_name, "_GPUS", tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "of CUDA")
    assert device_name.read_device_name() == name


def test_environment_with_flags() -> None:
    before = environment_with_flags()
    with deterministic(True):
        found = environment_with_flags()
    assert (before[FLAGS[0]], found[FLAGS[0]]) == ("off", "on")
    assert set(FLAGS) <= set(found)
    assert found.keys() == before.keys()
