"""The random generators of torch: the global ones of every device, and others.

``torch.manual_seed`` takes 90 to 370 µs, since it formats the call stack for a CUDA that may be
initialized later; seeding the default generators takes 1 µs. So they are seeded one by one, and
torch's lazy seeding is used only for an available accelerator that is not initialized yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from pytest_repro.adapters import Adapter, EntropySource
from pytest_repro.interpose.patch import Patch, patch_everywhere
from pytest_repro.interpose.proxy_class import make_proxy_class

_LAZY_DEVICES = ("cuda", "xpu")


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
    module = getattr(torch, torch._C._get_privateuse1_backend_name(), None)
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


class TorchGenerators(Adapter):
    """What the adapter of torch does with generators."""

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
