"""The process group of a rank: its backend."""

from __future__ import annotations

import pytest

pytest.importorskip("execnet")

from pytest_repro.companions.rank_main import _choose_backend


@pytest.mark.parametrize(("gpus", "used"), [(0, "gloo"), (1, "gloo"), (2, "cpu:gloo,cuda:nccl")])
def test_nccl_needs_a_gpu_per_rank(monkeypatch: pytest.MonkeyPatch, gpus: int, used: str) -> None:
    torch = pytest.importorskip("torch")
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert _choose_backend(2) == used
    assert taken == [1] * ("nccl" in used)
