"""torch: tensors, modules, optimisers, generators, determinism switches."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pytest_repro.adapters import BoundaryCallback
from pytest_repro.adapters._torch_determinism import THREAD_VARIABLES, deterministic, list_switches
from pytest_repro.adapters._torch_draws import format_path, watch_draws
from pytest_repro.adapters._torch_generators import TorchGenerators
from pytest_repro.adapters._torch_tensors import TorchTensors, flatten_tensor
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_GPUS = Path("/proc/driver/nvidia/gpus")
_NONE = "none"
_KIND_NAMES = {
    torch.nn.Module: "module",
    torch.optim.Optimizer: "optimiser",
    torch.Generator: "torch generator",
}
_EXCLUDED_FLAGS = {
    f"torch {name}"
    for name in ("default_device", "grad_mode", "threads", *THREAD_VARIABLES, "PYTHONHASHSEED")
}
"""Switches that change no result, or that :meth:`Adapter.environment` contains."""


@cache
def _module_attributes() -> Collection[str]:
    return frozenset(vars(torch.nn.Module()))


def _flatten_module(module: torch.nn.Module) -> FlattenResult:
    if "_parameters" not in module.__dict__:
        return "is a module whose __init__ did not finish"
    named = [*module.named_parameters(), *module.named_buffers()]
    return Parts(type(module).__qualname__, ((format_path(name), tensor) for name, tensor in named))


def _flatten_optimizer(optimizer: torch.optim.Optimizer) -> Parts:
    state = optimizer.state_dict()
    items = ((".state", state["state"]), (".param_groups", state["param_groups"]))
    return Parts(type(optimizer).__qualname__, items, numeric=True)


class Torch(TorchTensors, TorchGenerators):
    """Tensors of every dtype and layout, modules, optimisers, generators of every device, switches."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, torch.Tensor):
            return flatten_tensor(value)
        if issubclass(kind, torch.nn.Module):
            return _flatten_module(value)
        if issubclass(kind, torch.optim.Optimizer):
            return _flatten_optimizer(value)
        if issubclass(kind, torch.Generator):
            return Parts("torch.Generator", ((".state", value.get_state()),), numeric=True)
        return None

    def kind_name(self, value: object) -> str:
        return next((name for base, name in _KIND_NAMES.items() if issubclass(type(value), base)), "")

    def base_attributes(self, value: object) -> Collection[str]:
        return _module_attributes() if issubclass(type(value), torch.nn.Module) else ()

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        return deterministic(mode)

    def synchronize(self) -> None:
        cuda: Any = torch.cuda
        if cuda.is_initialized():
            cuda.synchronize()

    def watch_draws(self, on_boundary: BoundaryCallback) -> AbstractContextManager[None]:
        """Parts are modules, and a ``DataLoader`` that draws a seed for its workers."""
        return watch_draws(on_boundary)

    def switches(self) -> dict[str, str]:
        return {f"torch {switch.name}": str(switch.get()) for switch in list_switches()}

    def environment(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "cpu capability": torch.backends.cpu.get_cpu_capability(),
            "threads": str(torch.get_num_threads()),
            **_read_cpu_libraries(),
            **_read_accelerator(),
        }

    def flags(self) -> dict[str, str]:
        return {name: value for name, value in self.switches().items() if name not in _EXCLUDED_FLAGS}


@cache
def _read_cpu_libraries() -> dict[str, str]:
    """Versions of the CPU libraries, parsed from ``torch.__config__.show()``."""
    config = torch.__config__.show()
    onednn = re.search(r"(?:MKL-DNN|oneDNN) v([\w.]+)", config)
    mkl = re.search(r"Math Kernel Library Version ([\w.]+)", config)
    blas = re.search(r"BLAS_INFO=(\w+)", config)
    return {
        "torch blas": f"mkl {mkl[1]}" if mkl else blas[1] if blas else "unknown",
        "onednn": onednn[1] if onednn else _NONE,
    }


@cache
def _read_accelerator() -> dict[str, str]:
    """The first device and its libraries. Does not initialize CUDA; the result is the same after."""
    backends: Any = torch.backends
    # device_count() asks the driver; is_available() would initialize CUDA, after which no process may fork.
    if not (backends.cuda.is_built() and torch.cuda.device_count() > 0):
        device = "mps" if backends.mps.is_available() else "cpu"
        return {"device": device, "cuda": _NONE, "cudnn": _NONE}
    version = str(torch.version.cuda or getattr(torch.version, "hip", None))
    return {"device": _read_device_name(), "cuda": version, "cudnn": str(backends.cudnn.version() or _NONE)}


def _read_device_name() -> str:
    """The name of the first device: from the driver's files if all are of one model, else from CUDA."""
    try:
        texts = [path.read_text() for path in _GPUS.glob("*/information")]
    except OSError:
        texts = []
    found = (re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE) for text in texts)
    models = {match[1] if match else "" for match in found}
    model = models.pop() if len(models) == 1 else ""
    return model or torch.cuda.get_device_name(0)


adapter = Torch()
