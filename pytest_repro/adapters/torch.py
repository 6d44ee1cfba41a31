"""torch: tensors, modules, optimisers, generators, determinism switches.

Seeded: the default generators of the CPU and of each accelerator, one by one, which takes 1 µs:
    `torch.manual_seed` takes 90 to 370, as it formats the call stack for a CUDA that may start later.
    An available accelerator that is not initialized yet is seeded when it is.
Restored: their states, and every switch, bit for bit.
Switches: deterministic algorithms, filled memory, cuDNN, oneDNN, precisions, attention kernels, default dtype
    and device, threads, `CUBLAS_WORKSPACE_CONFIG`.
Read: `model.head[2].weight`, tensors that are attributes of modules (`metric.total`),
    `optimizer.state[0]['exp_avg']`; tensors of every dtype and layout; generators.
Captured: tensors, modules, optimisers, generators.
Environment: torch, CPU capability, threads, BLAS, oneDNN, device, CUDA, cuDNN, precisions.
Limits: a meta tensor has no values. Hooks of modules, and attributes without tensors, are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import torch

from pytest_repro.adapters import BoundaryCallback, EntropySource
from pytest_repro.adapters._torch import determinism as _determinism
from pytest_repro.adapters._torch import switches as _switches
from pytest_repro.adapters._torch.device_name import read_device_name
from pytest_repro.adapters._torch.draws import iter_seeding_functions, watch_draws
from pytest_repro.adapters._torch.modules import flatten_module, list_base_attributes
from pytest_repro.adapters._torch.tensors import TorchTensors, flatten_tensor, flatten_with_attributes
from pytest_repro.core.runs.observation import Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.patch import Patch, patch_everywhere
from pytest_repro.interpose.proxy_class import make_proxy_class

_KINDS = {torch.nn.Module: "module", torch.optim.Optimizer: "optimiser", torch.Generator: "torch generator"}
_LAZY_DEVICES = ("cuda", "xpu")
_EXCLUDED_FLAGS = {
    f"torch {name}"
    for name in ("default_device", "grad_mode", "threads", *_switches.THREAD_VARIABLES, "PYTHONHASHSEED")
}
"""Switches that change no result, or that :meth:`Adapter.environment` contains."""


def _flatten_optimizer(optimizer: torch.optim.Optimizer) -> Parts:
    state = optimizer.state_dict()
    items = ((".state", state["state"]), (".param_groups", state["param_groups"]))
    return Parts(type(optimizer).__qualname__, items, numeric=True)


def _list_default_generators() -> list[Any]:
    """The default generators of the CPU and of the initialized accelerators."""
    generators: list[Any] = [torch.default_generator]
    for name in _LAZY_DEVICES:
        device = getattr(torch, name, None)
        if device is not None and device.is_initialized():
            generators += device.default_generators
    if torch.backends.mps.is_available():
        generators.append(torch.mps._get_default_mps_generator())
    return generators


def _find_custom_backend() -> Any:
    """The module of a backend registered from outside torch, if it can seed."""
    module = vars(torch).get(torch._C._get_privateuse1_backend_name())  # torch.__getattr__ takes 3 µs
    return module if hasattr(module, "manual_seed_all") else None


def _list_uninitialized_devices() -> list[Any]:
    """The available accelerators of this build that are not initialized."""
    built = {"cuda": torch.version.cuda or torch.version.hip, "xpu": getattr(torch.version, "xpu", None)}
    devices = [getattr(torch, name) for name in _LAZY_DEVICES if built[name]]
    return [d for d in devices if not d.is_initialized() and d.is_available()]


def read_states(include_cpu: bool = True) -> list[bytes]:
    """States of the default generators: equal until one is used."""
    states = [generator.get_state() for generator in _list_default_generators()[0 if include_cpu else 1 :]]
    custom = _find_custom_backend()
    if hasattr(custom, "get_rng_state_all"):
        states += custom.get_rng_state_all()
    return [state.numpy().tobytes() for state in states]


def _iter_entropy_patches(source: EntropySource) -> Iterator[Patch]:
    """Functions that seed from the operating system, replaced to seed from *source*."""

    def seed(generator: Any = torch) -> int:
        number = source.getrandbits(63)
        generator.manual_seed(number)
        return number

    yield Patch(torch, "seed", seed)
    yield Patch(torch.random, "seed", seed)
    yield Patch(torch.cuda, "seed", lambda: torch.cuda.manual_seed(source.getrandbits(63)))
    yield Patch(torch.cuda, "seed_all", lambda: torch.cuda.manual_seed_all(source.getrandbits(63)))
    yield Patch(torch, "Generator", make_proxy_class(torch.Generator, {"seed": seed}, owns_instances=True))


class Torch(TorchTensors):
    """Tensors of every dtype and layout, modules, optimisers, generators of every device, switches."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, torch.Tensor):
            is_own = kind.__module__.partition(".")[0] == "torch" or vars(value).keys() <= {"_is_param"}
            return flatten_tensor(value) if is_own else flatten_with_attributes(value)
        if issubclass(kind, torch.nn.Module):
            return flatten_module(value)
        if issubclass(kind, torch.optim.Optimizer):
            return _flatten_optimizer(value)
        if issubclass(kind, torch.Generator):
            return Parts("torch.Generator", ((".state", value.get_state()),), numeric=True)
        if kind in (torch.device, torch.dtype):
            return make_leaf(f"torch.{kind.__name__}", str(value))
        return None

    def kind_name(self, value: object) -> str:
        return next((name for base, name in _KINDS.items() if issubclass(type(value), base)), "")

    def base_attributes(self, value: object) -> Collection[str]:
        return list_base_attributes() if issubclass(type(value), torch.nn.Module) else ()

    def seed(self, seed: int) -> None:
        for generator in _list_default_generators():
            generator.manual_seed(seed)
        custom = _find_custom_backend()
        # torch seeds other devices when it initializes them.
        for device in (*_list_uninitialized_devices(), *([custom] if custom is not None else ())):
            device.manual_seed_all(seed)

    def save_global_states(self) -> Callable[[], None]:
        states = [(generator, generator.get_state()) for generator in _list_default_generators()]
        trackers = [getattr(device, "_lazy_seed_tracker", None) for device in _list_uninitialized_devices()]
        pending_seeds = [(tracker, dict(vars(tracker))) for tracker in trackers if tracker is not None]
        custom = _find_custom_backend()
        custom_states = custom.get_rng_state_all() if hasattr(custom, "get_rng_state_all") else None

        def restore() -> None:
            for generator, state in states:
                generator.set_state(state)
            for tracker, before in pending_seeds:
                vars(tracker).update(before)
            if custom_states is not None:
                custom.set_rng_state_all(custom_states)

        return restore

    def global_states_key(self) -> object:
        return read_states()

    seeding_functions = staticmethod(iter_seeding_functions)

    def global_generators(self) -> Mapping[str, object]:
        return {f"torch {generator.device}": generator for generator in _list_default_generators()}

    def patch_entropy(self, source: EntropySource) -> AbstractContextManager[None]:
        """``torch.seed()``, and ``Generator.seed()`` of generators made in the block."""
        return patch_everywhere(_iter_entropy_patches(source))

    def get_state(self, generator: Any) -> str | None:
        state = self.state_key(generator)
        return None if state is None else state.hex()

    def set_state(self, generator: Any, state: str) -> None:
        generator.set_state(torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8))

    def state_key(self, generator: Any) -> bytes | None:
        is_known = issubclass(type(generator), torch.Generator)
        return generator.get_state().numpy().tobytes() if is_known else None

    def state_api_hint(self, generator: Any) -> str:
        if generator is torch.default_generator:
            return "torch.get_rng_state(), torch.set_rng_state(…)"
        is_default = any(generator is default for default in _list_default_generators())
        prefix, name = (f"torch.{generator.device.type}", "rng_state") if is_default else ("", "state")
        return f"{prefix}.get_{name}(), {prefix}.set_{name}(…)"

    deterministic = staticmethod(_determinism.deterministic)
    leave_switches = staticmethod(_determinism.leave_switches)
    switch_values = staticmethod(_switches.read_switches)
    set_switch = staticmethod(_switches.set_switch)

    def synchronize(self) -> None:
        cuda: Any = torch.cuda
        if cuda.is_initialized():
            cuda.synchronize()

    def watch_draws(self, on_boundary: BoundaryCallback) -> AbstractContextManager[None]:
        return watch_draws(on_boundary)

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
        "onednn": onednn[1] if onednn else "none",
    }


@cache
def _read_accelerator() -> dict[str, str]:
    """The first device and its libraries. Does not initialize CUDA; the result is the same after."""
    backends: Any = torch.backends
    # device_count() asks the driver; is_available() would initialize CUDA, after which no process may fork.
    if not (backends.cuda.is_built() and torch.cuda.device_count() > 0):
        device = "mps" if backends.mps.is_available() else "cpu"
        return {"device": device, "cuda": "none", "cudnn": "none"}
    version = str(torch.version.cuda or getattr(torch.version, "hip", None))
    return {"device": read_device_name(), "cuda": version, "cudnn": str(backends.cudnn.version() or "none")}


adapter = Torch()
