"""torch: tensors, modules, optimisers, generators, determinism switches."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import torch

from pytest_repro.adapters import Adapter, BoundaryCallback, EntropySource, FastReader
from pytest_repro.adapters._torch.determinism import THREAD_VARIABLES, deterministic, list_switches
from pytest_repro.adapters._torch.generators import (
    get_default_generators,
    make_entropy_patches,
    read_states,
    save_states,
    seed_generators,
)
from pytest_repro.adapters._torch.module_hooks import format_path, watch_draws
from pytest_repro.adapters._torch.tensors import describe, flatten_tensor, read_small_tensor
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.patch import patch_everywhere

_GPUS = Path("/proc/driver/nvidia/gpus")
_NONE = "none"
_INT_DTYPES = {2: torch.int16, 4: torch.int32, 8: torch.int64}
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
    kind = type(module).__qualname__
    return Parts(kind, ((format_path(name), tensor) for name, tensor in named))


def _flatten_optimizer(optimizer: torch.optim.Optimizer) -> Parts:
    state = optimizer.state_dict()
    items = ((".state", state["state"]), (".param_groups", state["param_groups"]))
    return Parts(type(optimizer).__qualname__, items, numeric=True)


def _flatten_subclass(tensor: Any) -> Parts:
    """A tensor of a class that adds attributes, such as the format of bounding boxes."""
    attributes = ((f".{name}", value) for name, value in sorted(vars(tensor).items()))
    return Parts(type(tensor).__qualname__, chain([("", tensor.as_subclass(torch.Tensor))], attributes))


class Torch(Adapter):
    """Tensors of every dtype and layout, modules, optimisers, generators of every device, switches."""

    fast_readers: ClassVar[Mapping[type, FastReader]] = {
        torch.Tensor: read_small_tensor,
        torch.nn.Parameter: read_small_tensor,
    }

    def describe(self, kind_key: Any) -> tuple[str, str, tuple[int, ...]]:
        return describe(kind_key)

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, torch.Tensor):
            is_own = kind.__module__.partition(".")[0] == "torch" or not vars(value)
            return flatten_tensor(value) if is_own else _flatten_subclass(value)
        if issubclass(kind, torch.nn.Module):
            return _flatten_module(value)
        if issubclass(kind, torch.optim.Optimizer):
            return _flatten_optimizer(value)
        if issubclass(kind, torch.Generator):
            return Parts("torch.Generator", ((".state", value.get_state()),), numeric=True)
        if kind in (torch.device, torch.dtype):
            text = str(value).encode()
            return Leaf(f"torch.{kind.__name__}", "", (), len(text), lambda: (memoryview(text),))
        return None

    def kind_name(self, value: object) -> str:
        return next((name for base, name in _KIND_NAMES.items() if issubclass(type(value), base)), "")

    def base_attributes(self, value: object) -> Collection[str]:
        return _module_attributes() if issubclass(type(value), torch.nn.Module) else ()

    def is_array(self, value: object) -> bool:
        return issubclass(type(value), torch.Tensor)

    def copy_array(self, array: Any) -> Any:
        return array.detach().clone().requires_grad_(array.requires_grad)

    def copy_at_offset(self, array: Any, offset: int) -> Any:
        buffer = torch.empty(array.numel() + offset, dtype=array.dtype, device=array.device)
        placed = buffer[offset:].view(array.shape)
        with torch.no_grad():
            placed.copy_(array)
        return placed.requires_grad_(array.requires_grad)

    def restore_array(self, array: Any, saved: Any) -> None:
        array.detach().copy_(saved)

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        return torch.cat(list(arrays))

    def view_as_integers(self, array: Any) -> Any:
        dtype = _INT_DTYPES.get(array.itemsize) if array.is_floating_point() else None
        return None if dtype is None else array.detach().view(dtype)

    def seed(self, seed: int) -> None:
        seed_generators(seed)

    def save_global_states(self) -> Callable[[], None]:
        return save_states()

    def global_states_key(self) -> object:
        return read_states()

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        return deterministic(mode)

    def patch_entropy(self, source: EntropySource) -> AbstractContextManager[None]:
        """``torch.seed()``, and ``Generator.seed()`` of generators made in the block."""
        return patch_everywhere(make_entropy_patches(source))

    def synchronize(self) -> None:
        cuda: Any = torch.cuda
        if cuda.is_initialized():
            cuda.synchronize()

    def get_state(self, generator: Any) -> str | None:
        state = self.state_key(generator)
        return None if state is None else state.hex()

    def set_state(self, generator: Any, state: str) -> None:
        generator.set_state(torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8))

    def global_generators(self) -> Mapping[str, object]:
        return get_default_generators()

    def state_key(self, generator: Any) -> bytes | None:
        is_known = issubclass(type(generator), torch.Generator)
        return generator.get_state().numpy().tobytes() if is_known else None

    def state_api_hint(self, generator: Any) -> str:
        if generator is torch.default_generator:
            return "torch.get_rng_state(), torch.set_rng_state(…)"
        is_default = any(generator is default for default in get_default_generators().values())
        prefix, name = (f"torch.{generator.device.type}", "rng_state") if is_default else ("", "state")
        return f"{prefix}.get_{name}(), {prefix}.set_{name}(…)"

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
    if not _has_cuda():
        mps = torch.backends.mps.is_available()
        return {"device": "mps" if mps else "cpu", "cuda": _NONE, "cudnn": _NONE}
    backends: Any = torch.backends
    version = torch.version.cuda or getattr(torch.version, "hip", None)
    return {
        "device": _read_device_name(),
        "cuda": str(version),
        "cudnn": str(backends.cudnn.version() or _NONE),
    }


def _has_cuda() -> bool:
    # device_count() asks the driver; is_available() would initialize CUDA, after which no process may fork.
    backends: Any = torch.backends
    return backends.cuda.is_built() and torch.cuda.device_count() > 0


def _read_device_name() -> str:
    """The name of the first device: from the driver's files if all are of one model, else from CUDA."""
    try:
        models = {_parse_model(path.read_text()) for path in _GPUS.glob("*/information")}
    except OSError:
        models = set()
    model = models.pop() if len(models) == 1 else ""
    return model or torch.cuda.get_device_name(0)


def _parse_model(information: str) -> str:
    match = re.search(r"^Model:\s*(.+?)\s*$", information, re.MULTILINE)
    return match[1] if match else ""


adapter = Torch()
