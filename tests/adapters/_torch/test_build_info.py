"""What torch was built with, told without starting a device."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pytest_repro.adapters import environment_with_flags  # noqa: E402
from pytest_repro.adapters._torch import build_info as built  # noqa: E402
from pytest_repro.adapters._torch.determinism import deterministic  # noqa: E402

FLAGS = ["torch deterministic_algorithms", "torch float32_matmul_precision", "torch cudnn.allow_tf32"]


def test_the_libraries_of_the_cpu_are_told() -> None:
    assert set(built.read_cpu_libraries()) == {"torch blas", "onednn"}
    assert "unknown" not in built.read_cpu_libraries().values()


def test_names_are_the_same_whatever_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    here = built.read_accelerator.__wrapped__()
    monkeypatch.setattr(built, "_has_cuda", lambda: True)
    monkeypatch.setattr(built, "_read_device_name", lambda: "GPU")
    there = built.read_accelerator.__wrapped__()
    assert (list(here), there["device"]) == (list(there), "GPU")


@pytest.mark.parametrize(
    ("models", "name"),
    [(["NVIDIA A"], "NVIDIA A"), (["NVIDIA A"] * 2, "NVIDIA A"), (["A", "B"], "asked"), ([], "asked")],
)
def test_the_driver_names_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: list[str], name: str
) -> None:
    """Where its devices are of two kinds, CUDA must say which comes first."""
    for number, model in enumerate(models):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 1\n")
    monkeypatch.setattr(built, "_GPUS", tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "asked")
    assert built._read_device_name() == name


def test_what_is_set_is_told_as_it_stands() -> None:
    before = environment_with_flags()
    with deterministic(True):
        found = environment_with_flags()
    assert (before[FLAGS[0]], found[FLAGS[0]]) == ("off", "on")
    assert set(FLAGS) <= set(found)
    assert found.keys() == before.keys()
