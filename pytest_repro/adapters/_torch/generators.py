"""The global generators of every torch device.

``torch.manual_seed`` takes 90 to 370 µs, since it formats the call stack for a CUDA that may be
initialized later; seeding the default generators takes 1 µs. So they are seeded one by one, and
torch's lazy seeding is used only for an available accelerator that is not initialized yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from pytest_repro.adapters import EntropySource
from pytest_repro.interpose.patch import Patch, make_proxy_class

_LAZY_DEVICES = ("cuda", "xpu")


def _list_accelerator_generators() -> list[Any]:
    """The default generators of the initialized accelerators."""
    generators: list[Any] = []
    for name in _LAZY_DEVICES:
        device = getattr(torch, name, None)
        if device is not None and device.is_initialized():
            generators += device.default_generators
    if torch.backends.mps.is_available():
        generators.append(torch.mps._get_default_mps_generator())
    return generators


def get_default_generators() -> dict[str, Any]:
    """The default generators of the CPU and of the initialized accelerators, by name: ``torch cuda:0``."""
    generators = (torch.default_generator, *_list_accelerator_generators())
    return {f"torch {generator.device}": generator for generator in generators}


def _find_custom_backend() -> Any:
    """The module of a backend registered from outside torch, if it can seed."""
    module = getattr(torch, torch._C._get_privateuse1_backend_name(), None)
    return module if hasattr(module, "manual_seed_all") else None


def _list_uninitialized_devices() -> list[Any]:
    """The available accelerators of this build that are not initialized."""
    built = {"cuda": torch.version.cuda or torch.version.hip, "xpu": getattr(torch.version, "xpu", None)}
    devices = [getattr(torch, name) for name in _LAZY_DEVICES if built[name]]
    return [d for d in devices if not d.is_initialized() and d.is_available()]


def seed_generators(seed: int) -> None:
    """Seeds the default generators of the CPU and of every accelerator with *seed*, 0 … 2**32 - 1."""
    torch.default_generator.manual_seed(seed)
    for generator in _list_accelerator_generators():
        generator.manual_seed(seed)
    for device in _list_uninitialized_devices():
        device.manual_seed_all(seed)  # torch seeds when it initializes the device
    custom = _find_custom_backend()
    if custom is not None:
        custom.manual_seed_all(seed)


def read_states(include_cpu: bool = True) -> list[bytes]:
    """States of the default generators: equal until one is used."""
    generators = ([torch.default_generator] if include_cpu else []) + _list_accelerator_generators()
    states = [generator.get_state() for generator in generators]
    custom = _find_custom_backend()
    if hasattr(custom, "get_rng_state_all"):
        states += custom.get_rng_state_all()
    return [state.numpy().tobytes() for state in states]


def save_states() -> Callable[[], None]:
    """Saves the state of every default generator. The function it returns restores it."""
    states = [(g, g.get_state()) for g in (torch.default_generator, *_list_accelerator_generators())]
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


def make_entropy_patches(source: EntropySource) -> Iterator[Patch]:
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
