"""Versions of the libraries of torch, read without initializing CUDA."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pytest_repro.adapters import environment_with_flags  # noqa: E402
from pytest_repro.adapters._torch import build_info  # noqa: E402
from pytest_repro.adapters._torch.determinism import deterministic  # noqa: E402

FLAGS = ["torch deterministic_algorithms", "torch float32_matmul_precision", "torch cudnn.allow_tf32"]


def test_cpu_libraries() -> None:
    assert set(build_info.read_cpu_libraries()) == {"torch blas", "onednn"}
    assert "unknown" not in build_info.read_cpu_libraries().values()


def test_names_do_not_depend_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = build_info.read_accelerator.__wrapped__()
    monkeypatch.setattr(build_info, "_has_cuda", lambda: True)
    monkeypatch.setattr(build_info, "_read_device_name", lambda: "GPU")
    gpu = build_info.read_accelerator.__wrapped__()
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
    monkeypatch.setattr(build_info, "_GPUS", tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "of CUDA")
    assert build_info._read_device_name() == name


def test_environment_with_flags() -> None:
    before = environment_with_flags()
    with deterministic(True):
        found = environment_with_flags()
    assert (before[FLAGS[0]], found[FLAGS[0]]) == ("off", "on")
    assert set(FLAGS) <= set(found)
    assert found.keys() == before.keys()
