from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import SwitchTooLate, pin_entropy, seed_all

torch = pytest.importorskip("torch")
_determinism = pytest.importorskip("pytest_repro.adapters._torch.determinism")
_adapter = pytest.importorskip("pytest_repro.adapters.torch").adapter

NAMES = [switch.name for switch in _determinism.list_switches()]


def read_switches() -> dict[str, Any]:
    return {switch.name: switch.get() for switch in _determinism.list_switches()}


def make_other_value(name: str, value: Any) -> Any:
    """A value that the switch does not have now."""
    special = {
        "deterministic_algorithms": {"off": "warn"}.get(value, "off"),
        "default_dtype": torch.float64,
        "float32_matmul_precision": {"high": "medium"}.get(value, "high"),
        "default_device": torch.device("meta"),
        "threads": 1 if value != 1 else 2,
    }
    if name in special:
        return special[name]
    if name.endswith("fp32_precision"):
        return "ieee" if value != "ieee" else "tf32"
    return (not value) if isinstance(value, bool) else "1"


@pytest.fixture(autouse=True)
def _all_restored() -> Iterator[None]:
    before = read_switches()
    yield
    assert read_switches() == before


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("mode", [True, "warn", False])
@pytest.mark.parametrize("name", NAMES)
def test_every_switch_is_restored(name: str, mode: Any, error: type[BaseException] | None) -> None:
    switch = next(s for s in _determinism.list_switches() if s.name == name)
    before = switch.get()
    expectation = pytest.raises(error) if error else nullcontext()
    with expectation, _determinism.deterministic(mode):
        switch.set(make_other_value(name, switch.get()))
        if error is not None:
            raise error
    assert switch.get() == before


def test_deterministic() -> None:
    with _determinism.deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        with _determinism.deterministic("warn"):
            assert torch.is_deterministic_algorithms_warn_only_enabled()
            with _determinism.deterministic(False):
                assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()


def test_other_switches_are_restored_if_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"a": 0, "b": 0, "c": 0}

    def make_switch(name: str) -> Any:
        def set_value(value: Any) -> None:
            if name == "b" and value == 0:
                raise RuntimeError("cannot be undone")
            state[name] = value

        return _determinism.Switch(name, lambda: state[name], set_value)

    switches = tuple(make_switch(name) for name in state)
    monkeypatch.setattr(_determinism, "list_switches", lambda: switches)
    with pytest.raises(RuntimeError, match="cannot be undone"), _determinism.deterministic(False):
        for switch in switches:
            switch.set(1)
    monkeypatch.undo()
    assert state == {"a": 0, "b": 1, "c": 0}


@pytest.mark.skipif(not hasattr(torch._C, "_get_fp32_precision_getter"), reason="torch before 2.9")
def test_inherited_precisions_stay_inherited() -> None:
    get, put = torch._C._get_fp32_precision_getter, torch._C._set_fp32_precision_setter
    before = get("generic", "all")
    try:
        put("generic", "all", "ieee")
        with _determinism.deterministic(True):
            put("mkldnn", "matmul", "bf16")
        assert get("mkldnn", "matmul") == "ieee"
        put("generic", "all", "tf32")
        assert get("mkldnn", "matmul") == "tf32"
    finally:
        put("generic", "all", before)


SET = [
    "torch.set_float32_matmul_precision('high')",
    "torch.backends.cuda.matmul.allow_tf32 = not torch.backends.cuda.matmul.allow_tf32",
    "torch.backends.cudnn.allow_tf32 = not torch.backends.cudnn.allow_tf32",
    "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    "m = b.cuda.matmul; m.fp32_precision = 'ieee' if m.fp32_precision == 'tf32' else 'tf32'",
    "torch.backends.fp32_precision = 'tf32'",
]
STATE = """if True:
    import torch
    from pytest_repro import pinned
    b = torch.backends
    new = [b, b.cuda.matmul, b.cudnn.conv, b.cudnn.rnn, b.mkldnn.matmul, b.mkldnn.conv]
    def state():
        old = torch.get_float32_matmul_precision(), b.cuda.matmul.allow_tf32, b.cudnn.allow_tf32
        return *old, *(getattr(backend, "fp32_precision", None) for backend in new)
"""


@pytest.mark.parametrize("outer", ["", "torch.set_float32_matmul_precision('medium')"])
def test_legacy_and_new_precisions_are_restored_together(outer: str) -> None:
    """In a subprocess, since torch raises for the legacy switches once they disagree with the new ones."""
    has_keys = hasattr(torch._C, "_get_fp32_precision_getter")
    sets = [line for line in SET if has_keys or "fp32_precision" not in line]
    blocks = [f"    with pinned(): {line}\n    assert state() == before, {line!r}\n" for line in sets]
    code = f"{STATE}    {outer}\n    before = state()\n{''.join(blocks)}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_late_cublas_variable_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.1")
    monkeypatch.setattr(torch, "__version__", "2.6.0+cu121")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with _determinism.deterministic(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    late = pytest.warns(SwitchTooLate, match="CUBLAS_WORKSPACE_CONFIG may be set too late")
    with late, _determinism.deterministic(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with _determinism.deterministic(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    monkeypatch.undo()


def test_deterministic_does_not_import_the_compiler() -> None:
    code = """if True:
        import sys, torch
        from pytest_repro import pinned
        with pinned():
            assert torch.are_deterministic_algorithms_enabled()
        sys.exit("torch._inductor.config" in sys.modules or "torch._dynamo" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_default_generator_is_seeded_and_restored() -> None:
    torch.rand(3)
    before = torch.get_rng_state()
    restore = _adapter.save_global_states()
    _adapter.seed(7)
    found = torch.rand(5)
    assert torch.initial_seed() == 7
    torch.manual_seed(7)
    assert torch.equal(found, torch.rand(5))
    restore()
    assert torch.equal(torch.get_rng_state(), before)


def test_seed_all() -> None:
    import random

    from pytest_repro.engine.runs.pin import pinned

    state = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()
    draws = []
    for _ in range(2):
        with pinned(0):
            seed_all(3)
            draws.append((torch.rand(2).tolist(), np.random.random_sample(), random.random()))
    assert draws[0] == draws[1]
    np.testing.assert_equal(np.random.get_state(legacy=False), state[1])
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[2]


def draw_unseeded() -> list[Any]:
    generator = torch.Generator()
    return [torch.seed(), torch.rand(1).item(), torch.random.seed(), generator.seed(), bound_seed()]


bound_seed = torch.seed  # as a test file may import it


def test_pin_entropy() -> None:
    before, generator_class = torch.get_rng_state(), torch.Generator
    found = []
    for seed in (5, 5, 6):
        with pin_entropy(seed):
            found.append(draw_unseeded())
            assert torch.initial_seed() == found[-1][-1]
    assert found[0] == found[1]
    assert all(a != b for a, b in zip(found[0], found[2]))
    assert draw_unseeded() != draw_unseeded()
    assert torch.Generator is generator_class is torch._C.Generator
    torch.set_rng_state(before)
