"""torch: tensors, modules, optimisers, generators of every device, determinism switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch

from pytest_repro.adapters import Adapter, EntropySource, FastReader
from pytest_repro.adapters._draw_origin import BoundaryCallback
from pytest_repro.adapters._torch.build_info import read_accelerator, read_cpu_libraries
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
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.patch import patch_everywhere


def _flatten_module(module: torch.nn.Module) -> FlattenResult:
    if "_parameters" not in module.__dict__:
        return "is a half-made module: its __init__ did not finish"
    named = [*module.named_parameters(), *module.named_buffers()]
    kind = type(module).__qualname__
    return Parts(kind, ((format_path(name), tensor) for name, tensor in named))


def _flatten_optimizer(optimizer: torch.optim.Optimizer) -> Parts:
    state = optimizer.state_dict()
    items = ((".state", state["state"]), (".param_groups", state["param_groups"]))
    return Parts(type(optimizer).__qualname__, items, numeric=True)


class Torch(Adapter):
    """Tensors of every dtype and layout, module and optimiser state, generators, switches."""

    fast_readers: ClassVar[Mapping[type, FastReader]] = {
        torch.Tensor: read_small_tensor,
        torch.nn.Parameter: read_small_tensor,
    }

    def describe(self, kind_key: Any) -> tuple[str, str, tuple[int, ...]]:
        return describe(kind_key)

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

    def seed(self, seed: int) -> None:
        seed_generators(seed)

    def save_global_states(self) -> Callable[[], None]:
        return save_states()

    def global_states_key(self) -> object:
        return read_states()

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        return deterministic(mode)

    def patch_entropy(self, source: EntropySource) -> AbstractContextManager[None]:
        """``torch.seed()`` and ``Generator.seed()``; not of a generator that was there before."""
        return patch_everywhere(make_entropy_patches(source))

    def synchronize(self) -> None:
        cuda: Any = torch.cuda
        if cuda.is_initialized():
            cuda.synchronize()

    def get_state(self, generator: Any) -> str | None:
        ours = issubclass(type(generator), torch.Generator)
        return generator.get_state().numpy().tobytes().hex() if ours else None

    def set_state(self, generator: Any, state: str) -> None:
        generator.set_state(torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8))

    def global_generators(self) -> Mapping[str, object]:
        return get_default_generators()

    def state_key(self, generator: Any) -> object:
        ours = issubclass(type(generator), torch.Generator)
        return generator.get_state().numpy().tobytes() if ours else None

    def state_api_hint(self, generator: Any) -> str:
        if generator is torch.default_generator:
            return "torch.get_rng_state(), torch.set_rng_state(…)"
        known = any(generator is each for each in get_default_generators().values())
        device = f"torch.{generator.device.type}.%s_rng_state%s" if known else ".%s_state%s"
        return f"{device % ('get', '()')}, {device % ('set', '(…)')}"

    def watch_draws(self, on_boundary: BoundaryCallback) -> AbstractContextManager[None]:
        """Forward passes of modules, and what a ``DataLoader`` draws to seed its workers."""
        return watch_draws(on_boundary)

    def switches(self) -> dict[str, str]:
        return {f"torch {row.name}": str(row.get()) for row in list_switches()}

    def environment(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "cpu capability": torch.backends.cpu.get_cpu_capability(),
            "threads": str(torch.get_num_threads()),
            **read_cpu_libraries(),
            **read_accelerator(),
        }

    def flags(self) -> dict[str, str]:
        return {
            f"torch {row.name}": str(row.get()) for row in list_switches() if row.name not in _EXCLUDED_FLAGS
        }


_EXCLUDED_FLAGS = ("default_device", "grad_mode", "threads", *THREAD_VARIABLES, "PYTHONHASHSEED")
"""Switches that change no number, or are told by their effect."""


adapter = Torch()
