"""torch: tensors, modules, optimisers, generators of every device, determinism switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch

from pytest_repro.adapters import Adapter, Quick, Source
from pytest_repro.adapters._draw_origin import Look
from pytest_repro.adapters._torch.build_info import accelerator, libraries
from pytest_repro.adapters._torch.determinism import THREADS, deterministic, switches
from pytest_repro.adapters._torch.generators import drawn, named, restorer, seed_every, standing
from pytest_repro.adapters._torch.module_hooks import suffix, watched
from pytest_repro.adapters._torch.tensors import described, opened_tensor, quick
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import Opened
from pytest_repro.interpose.patch import replaced_everywhere


def _of_module(module: torch.nn.Module) -> Opened:
    if "_parameters" not in module.__dict__:
        return "is a half-made module: its __init__ did not finish"
    named = [*module.named_parameters(), *module.named_buffers()]
    kind = type(module).__qualname__
    return Parts(kind, ((suffix(name), tensor) for name, tensor in named))


def _of_optimizer(optimizer: torch.optim.Optimizer) -> Parts:
    state = optimizer.state_dict()
    items = ((".state", state["state"]), (".param_groups", state["param_groups"]))
    return Parts(type(optimizer).__qualname__, items, numeric=True)


class Torch(Adapter):
    """Tensors of every dtype and layout, module and optimiser state, generators, switches."""

    quick: ClassVar[Mapping[type, Quick]] = {torch.Tensor: quick, torch.nn.Parameter: quick}

    def described(self, token: Any) -> tuple[str, str, tuple[int, ...]]:
        return described(token)

    def opened(self, value: Any) -> Opened:
        kind = type(value)
        if issubclass(kind, torch.Tensor):
            return opened_tensor(value)
        if issubclass(kind, torch.nn.Module):
            return _of_module(value)
        if issubclass(kind, torch.optim.Optimizer):
            return _of_optimizer(value)
        if issubclass(kind, torch.Generator):
            return Parts("torch.Generator", ((".state", value.get_state()),), numeric=True)
        return None

    def seed(self, seed: int) -> None:
        seed_every(seed)

    def states(self) -> Callable[[], None]:
        return restorer()

    def stands(self) -> object:
        return standing()

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        return deterministic(mode)

    def pinned_entropy(self, source: Source) -> AbstractContextManager[None]:
        """``torch.seed()`` and ``Generator.seed()``; not of a generator that was there before."""
        return replaced_everywhere(drawn(source))

    def finish(self) -> None:
        cuda: Any = torch.cuda
        if cuda.is_initialized():
            cuda.synchronize()

    def standing(self, generator: Any) -> str | None:
        ours = issubclass(type(generator), torch.Generator)
        return generator.get_state().numpy().tobytes().hex() if ours else None

    def stand(self, generator: Any, state: str) -> None:
        generator.set_state(torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8))

    def generators(self) -> Mapping[str, object]:
        return named()

    def place(self, generator: Any) -> object:
        ours = issubclass(type(generator), torch.Generator)
        return generator.get_state().numpy().tobytes() if ours else None

    def saved_by(self, generator: Any) -> str:
        if generator is torch.default_generator:
            return "torch.get_rng_state(), torch.set_rng_state(…)"
        known = any(generator is each for each in named().values())
        device = f"torch.{generator.device.type}.%s_rng_state%s" if known else ".%s_state%s"
        return f"{device % ('get', '()')}, {device % ('set', '(…)')}"

    def watched(self, look: Look) -> AbstractContextManager[None]:
        """Forward passes of modules, and what a ``DataLoader`` draws to seed its workers."""
        return watched(look)

    def switches(self) -> dict[str, str]:
        return {f"torch {row.name}": str(row.get()) for row in switches()}

    def environment(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "cpu capability": torch.backends.cpu.get_cpu_capability(),
            "threads": str(torch.get_num_threads()),
            **libraries(),
            **accelerator(),
        }

    def flags(self) -> dict[str, str]:
        return {f"torch {row.name}": str(row.get()) for row in switches() if row.name not in _NO_FLAGS}


_NO_FLAGS = ("default_device", "grad_mode", "threads", *THREADS, "PYTHONHASHSEED")
"""Switches that change no number, or are told by their effect."""


adapter = Torch()
